"""The SMO solver behind the SVM probe, compiled: it walks libsvm's path, with the kernel given.

Sequential minimal optimisation of ``min 1/2 b'Kb - t'b`` over signed multipliers ``b`` (label times
alpha) with ``sum b = 0``, between 0 and C or between -C and 0. Classification has targets +1 and
-1; epsilon regression has every clip twice, with targets ``y - tube`` and ``y + tube``.

A prediction that hangs on the last digits of a solution is the same only if the path to the
solution is the same. So the choices of libsvm are kept: pairs by second-order information (Fan,
Chen and Lin, JMLR 2005), ties to the later clip, kernel rows in single precision, shrinking and its
order (Chang and Lin, ACM TIST 2011), the order of every sum. What differs is how the work is done:
loops that vectorise, and kernels that arrive ready-made.
"""

from collections import namedtuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

TAU = 1e-12  # curvature of a pair whose own is not positive (two copies of one clip)
_BLOCK, _LANES = np.uint64(256), 16

compiled = njit(nogil=True, cache=True)

Clips = namedtuple("Clips", "kernel rows fetched at order own target positive violation up down "
                            "settled beta")
"""The problem in the solver's present order, clips that are shrunk away last.

Row ``i`` of `rows` is good up to ``fetched[i]``; `at` and `order` say where a clip is in `kernel`
and was in the beginning, as `target` and `positive` still are. `violation` is minus the gradient,
`settled` the part of it that multipliers at C make; `up` and `down` are 0 where a multiplier can go
there, else infinite.
"""


def _extreme(name: str):
    """``max`` or ``min`` of two floats as the compiler's own operation, which a loop vectorises."""

    @intrinsic
    def function(typing_context, a, b):
        def generate(context, builder, signature, arguments):
            double = ir.DoubleType()
            call = builder.module.declare_intrinsic(
                name, [double], ir.FunctionType(double, [double, double]))
            return builder.call(call, arguments, fastmath=("nnan", "nsz"))

        return types.float64(types.float64, types.float64), generate

    return function


_larger, _smaller = _extreme("llvm.maxnum"), _extreme("llvm.minnum")


@compiled
def padded(n):
    """`n` rounded up to whole vectors, so that no loop has a slow remainder."""
    return (n + _LANES - 1) // _LANES * _LANES


@compiled
def _last(score, best, start, end):
    last = np.int64(-1)
    for k in range(start, end):
        last = max(last, np.int64(k) if score[k] == best else np.int64(-1))
    return last


@compiled
def _move(violation, up, down, row_i, row_j, step_i, step_j, score, active):
    """Apply a step; in the same pass, who can go up most and down most: ``(most, least, who)``."""
    most, least, where = -np.inf, np.inf, np.uint64(0)
    active, start = np.uint64(active), np.uint64(0)
    while start < active:
        end, here = min(active, start + _BLOCK), -np.inf
        for k in range(start, end):
            x = violation[k] - (row_i[k] * step_i + row_j[k] * step_j)
            violation[k], score[k] = x, x + up[k]
            here = _larger(here, x + up[k])
            least = _smaller(least, x + down[k])
        if here >= most:
            most, where = here, start
        start = end
    if most == -np.inf:
        return most, least, np.int64(-1)
    return most, least, _last(score, most, where, min(active, where + _BLOCK))


@compiled
def _partner(violation, down, row, own, mine, most, score, active):
    """Who gains most when paired with a clip of curvature `mine` and that row; -1 if nobody."""
    best, where = 0.0, np.uint64(0)
    active, start = np.uint64(active), np.uint64(0)
    while start < active:
        end, here = min(active, start + _BLOCK), 0.0
        for k in range(start, end):
            gap = _larger(most - (violation[k] + down[k]), 0.0)
            second = mine + own[k] - 2.0 * row[k]
            score[k] = gap * gap * (1.0 / (second if second > 0 else TAU))
            here = _larger(here, score[k])
        if here >= best:
            best, where = here, start
        start = end
    if best == 0:
        return np.int64(-1)
    return _last(score, best, where, min(active, where + _BLOCK))


@compiled
def _fetch(kernel, at, rows, fetched, i, end):
    """Bring row `i` of the kernel into the present order, up to `end`."""
    if fetched[i] < end:
        row, base = rows[i], kernel[at[i]]
        for k in range(np.uint64(fetched[i]), np.uint64(end)):
            row[k] = base[at[k]]
        fetched[i] = end


@compiled
def _settle(s, who, amount, events):
    """Book the multipliers that met or left C since the last time, in that order."""
    settled, width = s.settled, len(s.at)
    for e in range(events):
        _fetch(s.kernel, s.at, s.rows, s.fetched, who[e], width)
        row, change = s.rows[who[e]], amount[e]
        for k in range(np.uint64(width)):
            settled[k] -= change * row[k]


@compiled
def _restore(s, active, cost):
    """Work out the violations that were not kept while their clips were shrunk away.

    Summed as libsvm does: the two clips of a step leave it with equal violations, so the last bit
    of a sum decides which of them comes first later.
    """
    n = len(s.target)
    for k in range(active, n):
        s.violation[k] = s.settled[k] + s.target[s.order[k]]
    for j in range(active):
        if s.up[j] == 0.0 and s.down[j] == 0.0:
            base = s.kernel[s.at[j]]
            for k in range(np.uint64(active), np.uint64(n)):
                s.violation[k] -= s.beta[j] * base[s.at[k]]
    for k in range(active, n):
        s.up[k], s.down[k] = _free(abs(s.beta[k]), s.positive[s.order[k]], cost)


@compiled
def _free(alpha, positive, cost):
    """What to add to a violation for going up and down: 0 where a multiplier can, else infinity."""
    up = -np.inf if (alpha >= cost if positive else alpha <= 0) else 0.0
    return up, np.inf if (alpha <= 0 if positive else alpha >= cost) else 0.0


@compiled
def _shrink(s, most, least, active):
    """Put clips last that will stay at their bounds, as libsvm swaps them; how many are left."""
    n = len(s.target)
    gone = (s.violation + s.up < least) & (s.violation + s.down > most)
    order, k = np.arange(n), 0
    while k < active:
        if gone[k]:
            active -= 1
            while active > k and gone[active]:
                active -= 1
            order[k], order[active] = order[active], order[k]
        k += 1
    if (order != np.arange(n)).any():
        for part in (s.violation, s.up, s.down, s.settled, s.own, s.beta):
            part[:n] = part[order]
        for index in (s.at, s.order):
            index[:n] = index[order]
        s.fetched[:] = 0
    s.up[active:], s.down[active:] = -np.inf, np.inf
    return active


@compiled
def _clip(x, y, cost, step, opposite):
    """New multipliers of a pair after a step, cut at the box, in the order of libsvm's own cuts."""
    if opposite:
        difference = x - y
        x, y = x + step, y + step
        if difference > 0:
            if y < 0:
                x, y = difference, 0.0
            if x > cost:
                x, y = cost, cost - difference
        else:
            if x < 0:
                x, y = 0.0, -difference
            if y > cost:
                x, y = cost + difference, cost
    else:
        total = x + y
        x, y = x - step, y + step
        if total > cost:
            if x > cost:
                x, y = cost, total - cost
            if y > cost:
                x, y = total - cost, cost
        else:
            if y < 0:
                x, y = total, 0.0
            if x < 0:
                x, y = 0.0, total
    return x, y


@compiled
def _prepare(kernel, diagonal, members, target, positive, cost, rows, fetched):
    n, width = len(members), padded(len(members))
    at, order = np.full(width, members[0]), np.zeros(width, dtype=np.int64)
    violation, own, settled = np.zeros(width), np.ones(width), np.zeros(width)
    up, down = np.full(width, -np.inf), np.full(width, np.inf)
    at[:n], order[:n], violation[:n], own[:n] = members, np.arange(n), target, diagonal[members]
    s = Clips(kernel, rows, fetched, at, order, own, target, positive, violation, up, down, settled,
              np.zeros(n))
    for k in range(n):
        up[k], down[k] = _free(0.0, positive[k], cost)
    return s


@compiled
def _offset(s):
    """The mean gradient of free multipliers, else the middle between those at bounds."""
    above, below, free, total = np.inf, -np.inf, 0, 0.0
    for k in range(len(s.target)):
        gradient = -s.violation[k]
        if s.down[k] == np.inf:
            above = min(above, gradient)
        elif s.up[k] == -np.inf:
            below = max(below, gradient)
        else:
            free += 1
            total += gradient
    return total / free if free else (above + below) / 2


@compiled
def solve(kernel, diagonal, members, target, positive, cost, tolerance, limit, rows, fetched, beta):
    """Solve one problem; the answer is left in `beta`.

    Args:
        kernel: ``(m, m)`` float32, of any clips.
        diagonal: ``(m,)`` float64, the kernel of each clip with itself, unrounded.
        members: ``(n,)`` rows of `kernel` that take part.
        target, positive: ``(n,)`` targets, and whether ``0 <= beta <= cost`` (else ``-cost <= beta
            <= 0``).
        cost, tolerance: C, and the largest violation left.
        limit: pair steps after which to give up, wherever the solution is.
        rows, fetched: room for ``(n, padded(n))`` float32, and ``(n,)`` zeros: kernel rows, which
            may stay for the next call with the same members.
        beta: ``(n,)`` float64, written.

    Returns:
        ``(rho, bounded, steps)``: the offset of ``f(x) = sum beta k(x) - rho``; whether any
        multiplier ever met C (if none did, every larger C has the same path); the number of pair
        steps.
    """
    n, width = len(members), padded(len(members))
    s = _prepare(kernel, diagonal, members, target, positive, cost, rows, fetched)
    at, order, own, b = s.at, s.order, s.own, s.beta
    violation, up, down = s.violation, s.up, s.down
    still, score = np.zeros(width, dtype=np.float32), np.zeros(width)
    events, who, amount = 0, np.empty(2 * n + 4, dtype=np.int64), np.empty(2 * n + 4)
    active, span, steps, bounded, unshrunk = n, width, 0, False, False
    countdown = min(n, 1000) + 1
    most, least, i = _move(violation, up, down, still, still, 0.0, 0.0, score, span)
    while steps < limit:
        countdown -= 1
        if countdown == 0:
            countdown = min(n, 1000)
            high, low = most, least
            _settle(s, who, amount, events)
            events = 0
            if not unshrunk and high - low <= tolerance * 10:
                unshrunk = True
                _restore(s, active, cost)
                active = n
            active = _shrink(s, high, low, active)
            span = padded(active)
            most, least, i = _move(violation, up, down, still, still, 0.0, 0.0, score, span)
        j = -1
        for _ in range(2):
            if i >= 0 and not most - least < tolerance:
                _fetch(kernel, at, rows, fetched, i, span)
                j = _partner(violation, down, rows[i], own, own[i], most, score, span)
            if j >= 0 or active == n:
                break
            _settle(s, who, amount, events)
            events = 0
            _restore(s, active, cost)
            active, span, countdown = n, width, 1
            most, least, i = _move(violation, up, down, still, still, 0.0, 0.0, score, span)
        if j < 0:
            break
        _fetch(kernel, at, rows, fetched, j, span)
        second = own[i] + own[j] - 2.0 * rows[i, j]
        step = (violation[i] - violation[j]) / (second if second > 0 else TAU)
        sign_i, sign_j = positive[order[i]], positive[order[j]]
        opposite = sign_i != sign_j
        x, y = _clip(abs(b[i]), abs(b[j]), cost, step if sign_i == opposite else -step, opposite)
        bounded = bounded or x >= cost or y >= cost
        before_i, before_j = b[i], b[j]
        for k, alpha, sign in ((i, x, sign_i), (j, y, sign_j)):
            if (abs(b[k]) >= cost) != (alpha >= cost):
                who[events] = k
                amount[events] = cost if sign == (alpha >= cost) else -cost
                events += 1
            b[k] = alpha if sign else -alpha
            up[k], down[k] = _free(alpha, sign, cost)
        most, least, i = _move(violation, up, down, rows[i], rows[j], b[i] - before_i,
                               b[j] - before_j, score, span)
        steps += 1
    if steps == limit:
        _settle(s, who, amount, events)
        _restore(s, active, cost)
    if (order[:n] != np.arange(n)).any():
        fetched[:] = 0
    beta[order[:n]] = b
    return _offset(s), bounded, steps
