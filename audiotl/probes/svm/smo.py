"""The SMO solver behind the SVM probe, compiled: it walks the same path as libsvm, with the kernel
given.

Sequential minimal optimisation of ``min 1/2 b'Kb - t'b`` over signed multipliers ``b`` (label times
alpha) with ``sum b = 0``, between 0 and C or between -C and 0. Classification has targets +1 and
-1; epsilon regression has every clip twice, with targets ``y - tube`` and ``y + tube``.

A prediction that hangs on the last digits of a solution is the same only if the path to the
solution is the same. So the choices of libsvm are kept: pairs by second-order information (Fan,
Chen and Lin, JMLR 2005), ties to the later clip, kernel rows in single precision, shrinking and its
order (Chang and Lin, ACM TIST 2011), the order of every sum. What differs is how the work is done:
loops that vectorise, the reciprocal curvature of a row kept beside the row, and kernels that arrive
ready-made.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

TAU = 1e-12
"""Curvature of a pair whose own is not positive (two copies of one clip)."""

_BLOCK = np.uint64(256)
_LANES = 16


def _extreme(name: str):
    """``max`` or ``min`` of two floats as the compiler's own operation, which it can vectorise in
    a loop."""

    @intrinsic
    def function(typing_context, a, b):
        def generate(context, builder, signature, arguments):
            double = ir.DoubleType()
            call = builder.module.declare_intrinsic(
                name, [double], ir.FunctionType(double, [double, double])
            )
            return builder.call(call, arguments, fastmath=("nnan", "nsz"))

        return types.float64(types.float64, types.float64), generate

    return function


_larger, _smaller = _extreme("llvm.maxnum"), _extreme("llvm.minnum")


@njit(nogil=True, cache=True)
def _move(violation, up, down, rows, i, j, step_i, step_j, active):
    """Apply a step and find, in the same pass, who can go up most and down most: ``(most, least,
    who)``."""
    most, least, where = -np.inf, np.inf, np.uint64(0)
    i, j, active, start = np.uint64(i), np.uint64(j), np.uint64(active), np.uint64(0)
    while start < active:
        end = min(active, start + _BLOCK)
        here = -np.inf
        for k in range(start, end):
            x = violation[k] - (rows[i, k] * step_i + rows[j, k] * step_j)
            violation[k] = x
            here = _larger(here, x + up[k])
            least = _smaller(least, x + down[k])
        if here >= most:
            most, where = here, start
        start = end
    last = np.int64(-1)
    if most > -np.inf:
        for k in range(where, min(active, where + _BLOCK)):
            last = max(last, np.int64(k) if violation[k] + up[k] == most else np.int64(-1))
    return most, least, last


@njit(nogil=True, cache=True)
def _partner(violation, down, curvature, i, most, active):
    """Who gains most when paired with `i`, by the second-order rule; -1 if nobody does."""
    best, where = 0.0, np.uint64(0)
    i, active, start = np.uint64(i), np.uint64(active), np.uint64(0)
    while start < active:
        end = min(active, start + _BLOCK)
        here = 0.0
        for k in range(start, end):
            gap = _larger(most - (violation[k] + down[k]), 0.0)
            here = _larger(here, gap * gap * curvature[i, k])
        if here >= best:
            best, where = here, start
        start = end
    last = np.int64(-1)
    if best > 0:
        for k in range(where, min(active, where + _BLOCK)):
            gap = _larger(most - (violation[k] + down[k]), 0.0)
            same = gap * gap * curvature[i, k] == best
            last = max(last, np.int64(k) if same else np.int64(-1))
    return last


@njit(nogil=True, cache=True)
def _partner_once(violation, down, rows, own, i, most, active):
    """As `_partner`, for a row whose curvatures are not kept yet: most rows of an easy problem
    come up once."""
    best, where, mine = 0.0, np.uint64(0), own[i]
    i, active, start = np.uint64(i), np.uint64(active), np.uint64(0)
    while start < active:
        end = min(active, start + _BLOCK)
        here = 0.0
        for k in range(start, end):
            gap = _larger(most - (violation[k] + down[k]), 0.0)
            second = mine + own[k] - 2.0 * rows[i, k]
            here = _larger(here, gap * gap * (1.0 / (second if second > 0 else TAU)))
        if here >= best:
            best, where = here, start
        start = end
    last = np.int64(-1)
    if best > 0:
        for k in range(where, min(active, where + _BLOCK)):
            gap = _larger(most - (violation[k] + down[k]), 0.0)
            second = mine + own[k] - 2.0 * rows[i, k]
            same = gap * gap * (1.0 / (second if second > 0 else TAU)) == best
            last = max(last, np.int64(k) if same else np.int64(-1))
    return last


@njit(nogil=True, cache=True)
def _fetch(kernel, at, home, order, whole, rows, i, start, end):
    """Bring row `i` of the kernel into the solver's present order, from its first order if it is
    there."""
    near = whole[order[i]] == home.shape[1]
    base = home[order[i]] if near else kernel[at[i]]
    index = order if near else at
    i = np.uint64(i)
    for k in range(np.uint64(start), np.uint64(end)):
        rows[i, k] = base[index[k]]


@njit(nogil=True, cache=True)
def _invert(diagonal, rows, curvature, i, start, end):
    own = diagonal[i]
    i = np.uint64(i)
    for k in range(np.uint64(start), np.uint64(end)):
        second = own + diagonal[k] - 2.0 * rows[i, k]
        curvature[i, k] = 1.0 / (second if second > 0 else TAU)


@njit(nogil=True, cache=True)
def _settle(kernel, at, home, order, whole, rows, fetched, settled, who, amount, events):
    """Book the multipliers that met or left C since the last time, in the order in which they
    did."""
    for e in range(events):
        i, change = who[e], amount[e]
        if fetched[i] < len(at):
            _fetch(kernel, at, home, order, whole, rows, i, fetched[i], len(at))
            fetched[i] = len(at)
        i = np.uint64(i)
        for k in range(np.uint64(len(at))):
            settled[k] -= change * rows[i, k]


@njit(nogil=True, cache=True)
def _restore(kernel, at, order, target, settled, up, down, beta, violation, start):
    """Work out the violations that were not kept while their clips were shrunk away, summed as
    libsvm does.

    The rounding matters: the two clips of a step leave it with equal violations, so the last bit of
    a sum decides which of them comes first later.
    """
    n = len(target)
    for k in range(start, n):
        violation[k] = settled[k] + target[order[k]]
    for j in range(start):
        if up[j] == 0.0 and down[j] == 0.0:
            base = kernel[at[j]]
            for k in range(np.uint64(start), np.uint64(n)):
                violation[k] -= beta[j] * base[at[k]]


@njit(nogil=True, cache=True)
def _clip(x, y, limit_x, limit_y, step, opposite):
    """New multipliers of a pair after a step, cut at the box, in the order of libsvm's own cuts."""
    if opposite:
        difference = x - y
        x, y = x + step, y + step
        if difference > 0:
            if y < 0:
                x, y = difference, 0.0
        elif x < 0:
            x, y = 0.0, -difference
        if difference > limit_x - limit_y:
            if x > limit_x:
                x, y = limit_x, limit_x - difference
        elif y > limit_y:
            x, y = limit_y + difference, limit_y
    else:
        total = x + y
        x, y = x - step, y + step
        if total > limit_x:
            if x > limit_x:
                x, y = limit_x, total - limit_x
        elif y < 0:
            x, y = total, 0.0
        if total > limit_y:
            if y > limit_y:
                x, y = total - limit_y, limit_y
        elif x < 0:
            x, y = 0.0, total
    return x, y


@njit(nogil=True, cache=True)
def padded(n):
    """`n` rounded up to whole vectors, so that no loop has a slow remainder."""
    return (n + _LANES - 1) // _LANES * _LANES


@njit(nogil=True, cache=True)
def _state(alpha, sign, cost):
    """What to add to a violation for going up and for going down: 0 if the multiplier can, else
    infinity."""
    up = -np.inf if (alpha >= cost if sign else alpha <= 0) else 0.0
    return up, np.inf if (alpha <= 0 if sign else alpha >= cost) else 0.0


@njit(nogil=True, cache=True)
def solve(
    kernel,
    diagonal,
    members,
    target,
    positive,
    cost,
    tolerance,
    limit,
    home,
    whole,
    rows,
    curvature,
    beta,
):
    """Solve one problem; the answer is left in `beta`.

    Args:
        kernel: ``(m, m)`` float32, of any clips.
        diagonal: ``(m,)`` float64, the kernel of each clip with itself, unrounded.
        members: ``(n,)`` rows of `kernel` that take part.
        target, positive: ``(n,)`` targets, and whether ``0 <= beta <= cost`` (else ``-cost <= beta
            <= 0``).
        cost, tolerance: C, and the largest violation left.
        limit: pair steps after which to give up, wherever the solution is.
        home, whole: room for ``(n, padded(n))`` float32, and ``(n,)`` zeros: kernel rows, which
            stay for the next call with the same members.
        rows, curvature: room for ``(n, padded(n))`` float32 and float64, free again afterwards.
        beta: ``(n,)`` float64, written.

    Returns:
        ``(rho, bounded, steps)``: the offset of ``f(x) = sum beta k(x) - rho``; whether any
        multiplier ever met C (if none did, every larger C has the same path); the number of pair
        steps.
    """
    n, width = len(members), padded(len(members))
    at, order = np.full(width, members[0]), np.zeros(width, dtype=np.int64)
    violation, own, settled = np.zeros(width), np.ones(width), np.zeros(width)
    up, down = np.full(width, -np.inf), np.full(width, np.inf)
    sign, b = positive.copy(), np.zeros(n)
    for k in range(n):
        at[k], order[k], violation[k], own[k] = members[k], k, target[k], diagonal[members[k]]
        up[k], down[k] = _state(0.0, sign[k], cost)
    now, fetched, inverted = home, whole, np.full(n, -1)
    still = np.zeros((1, width), dtype=np.float32)
    events, who, amount = 0, np.empty(2 * n + 4, dtype=np.int64), np.empty(2 * n + 4)
    active, span, steps, bounded, unshrunk = n, width, 0, False, False
    countdown = min(n, 1000) + 1
    most, least, i = _move(violation, up, down, still, 0, 0, 0.0, 0.0, span)
    while True:
        countdown -= 1
        if countdown == 0:
            countdown = min(n, 1000)
            high, low = most, least
            _settle(kernel, at, home, order, whole, now, fetched, settled, who, amount, events)
            events = 0
            if not unshrunk and high - low <= tolerance * 10:
                unshrunk = True
                _restore(kernel, at, order, target, settled, up, down, b, violation, active)
                for k in range(active, n):
                    up[k], down[k] = _state(abs(b[k]), sign[k], cost)
                active = n
            moved = False
            k = 0
            while k < active:
                if violation[k] + up[k] < low and violation[k] + down[k] > high:
                    active -= 1
                    while active > k:
                        m = active
                        if not (violation[m] + up[m] < low and violation[m] + down[m] > high):
                            violation[k], violation[m] = violation[m], violation[k]
                            up[k], up[m] = up[m], up[k]
                            down[k], down[m] = down[m], down[k]
                            b[k], b[m] = b[m], b[k]
                            settled[k], settled[m] = settled[m], settled[k]
                            own[k], own[m] = own[m], own[k]
                            sign[k], sign[m] = sign[m], sign[k]
                            at[k], at[m] = at[m], at[k]
                            order[k], order[m] = order[m], order[k]
                            moved = True
                            break
                        active -= 1
                k += 1
            span = padded(active)
            up[active:], down[active:] = -np.inf, np.inf
            if moved:
                now, fetched = rows, np.zeros(n, dtype=np.int64)
                inverted[:] = -1
            most, least, i = _move(violation, up, down, still, 0, 0, 0.0, 0.0, span)
        j = -1
        for _ in range(2):
            if i >= 0 and not most - least < tolerance:
                if fetched[i] < span:
                    _fetch(kernel, at, home, order, whole, now, i, fetched[i], span)
                    fetched[i] = span
                if inverted[i] < 0:
                    inverted[i] = 0
                    j = _partner_once(violation, down, now, own, i, most, span)
                else:
                    if inverted[i] < span:
                        _invert(own, now, curvature, i, inverted[i], span)
                        inverted[i] = span
                    j = _partner(violation, down, curvature, i, most, span)
            if j >= 0 or active == n:
                break
            _settle(kernel, at, home, order, whole, now, fetched, settled, who, amount, events)
            events = 0
            _restore(kernel, at, order, target, settled, up, down, b, violation, active)
            for k in range(active, n):
                up[k], down[k] = _state(abs(b[k]), sign[k], cost)
            active, span, countdown = n, width, 1
            most, least, i = _move(violation, up, down, still, 0, 0, 0.0, 0.0, span)
        if j < 0:
            break
        if fetched[j] < span:
            _fetch(kernel, at, home, order, whole, now, j, fetched[j], span)
            fetched[j] = span
        second = own[i] + own[j] - 2.0 * now[i, j]
        step = (violation[i] - violation[j]) / (second if second > 0 else TAU)
        opposite = sign[i] != sign[j]
        x, y = _clip(
            abs(b[i]), abs(b[j]), cost, cost, step if sign[i] == opposite else -step, opposite
        )
        bounded = bounded or x >= cost or y >= cost
        before_i, before_j = b[i], b[j]
        for k, alpha in ((i, x), (j, y)):
            if (abs(b[k]) >= cost) != (alpha >= cost):
                who[events] = k
                amount[events] = cost if sign[k] == (alpha >= cost) else -cost
                events += 1
            b[k] = alpha if sign[k] else -alpha
            up[k], down[k] = _state(alpha, sign[k], cost)
        most, least, i = _move(
            violation, up, down, now, i, j, b[i] - before_i, b[j] - before_j, span
        )
        steps += 1
        if steps == limit:
            _settle(kernel, at, home, order, whole, now, fetched, settled, who, amount, events)
            _restore(kernel, at, order, target, settled, up, down, b, violation, active)
            for k in range(active, n):
                up[k], down[k] = _state(abs(b[k]), sign[k], cost)
            break

    above, below, free, total = np.inf, -np.inf, 0, 0.0
    for k in range(n):
        gradient = -violation[k]
        if down[k] == np.inf:
            above = min(above, gradient)
        elif up[k] == -np.inf:
            below = max(below, gradient)
        else:
            free += 1
            total += gradient
        beta[order[k]] = b[k]
    return (total / free if free else (above + below) / 2), bounded, steps
