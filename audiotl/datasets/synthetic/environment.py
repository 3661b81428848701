"""City sounds: ten classes synthesised from randomised physics, as if recorded in many streets.

A scene is one source (this engine, that dog) at one place (distance, walls, background,
microphone), recorded a few times; it is the group. Each class is a function of two generators:
`scene`, which starts anew for every take of the scene and so gives the same device each time, and
`take`, which gives what differs between takes. Draw from `scene` in the same order in every take,
whatever `take` says.
"""

from collections.abc import Callable, Iterator

import numpy as np

from audiotl.datasets.synthetic import acoustics as ac

DURATION = 3.0
MULTILABEL = False
TITLE = "Synthetic city sounds"
SIZES = {"quick": (24, 5), "smoke": (4, 3), "tiny": (2, 1)}  # scenes a class, and takes a scene
N = int(DURATION * ac.RATE)
TIME = np.arange(N) / ac.RATE
SOUND_SPEED = 343.0

Rng = np.random.Generator


def siren(scene: Rng, take: Rng) -> np.ndarray:
    """A tone that wails, yelps or changes between two pitches, driving past (Doppler)."""
    low, ratio = ac.log_uniform(scene, 420, 800), scene.uniform(1.35, 2.4)
    tilt = scene.uniform(0.4, 1.6)
    style, turn = int(scene.integers(3)), scene.random()
    speed, gap = scene.uniform(0, 25), scene.uniform(5, 40)
    period = (2 + 4 * turn, 0.2 + 0.25 * turn, 0.9 + 0.8 * turn)[style]
    beat = (TIME / period + take.random()) % 1.0
    rise = np.abs(2 * beat - 1)
    value = (rise**0.7, rise, 0.5 + 0.5 * np.tanh(40 * (rise - 0.5)))[style]
    distance = np.sqrt(gap**2 + (speed * (TIME - take.uniform(-1, 4))) ** 2)
    doppler = SOUND_SPEED / (SOUND_SPEED + np.gradient(distance, 1 / ac.RATE))
    tone = ac.partials(scene, ac.harmonics(low * ratio * 1.1) ** -tilt)
    return ac.play(tone, ac.cycles(low * ratio**value * doppler)) * gap / distance


def engine(scene: Rng, take: Rng) -> np.ndarray:
    """Exhaust pulses, one a cylinder and cycle, no two cylinders alike, through pipe and body."""
    cylinders, rpm = int(scene.choice([1, 2, 3, 4, 6, 8])), ac.log_uniform(scene, 650, 3600)
    uneven, breath = scene.uniform(0.05, 0.4), scene.uniform(0.05, 0.5)
    spans = ((70, 250), (250, 700), (700, 2200))
    modes = np.array([ac.log_uniform(scene, *span) for span in spans])
    gains = np.array([1, scene.uniform(0.2, 1), scene.uniform(0.05, 0.5)])
    where = (np.arange(cylinders) + 0.1 * uneven * scene.standard_normal(cylinders)) / cylinders
    power = 1 + uneven * scene.standard_normal(cylinders)
    offset = (np.arange(4096) / 4096 - where[:, None] + 0.5) % 1.0 - 0.5
    width = scene.uniform(0.004, 0.02)
    cycle = (power[:, None] * np.exp(-(offset / width) ** 2)).sum(0)
    revs = rpm / 120 * 2 ** (take.choice([0.02, 0.1, 0.4]) * ac.contour(take, N, 0.7))
    pulses = ac.play(cycle, ac.cycles(revs)) * (1 + 0.15 * ac.contour(take, N, 20))
    driven = pulses - pulses.mean() + breath * ac.noise(take, N) * (0.1 + pulses)
    return ac.ring(driven, modes, np.array([0.08, 0.04, 0.02]), gains) + 0.05 * driven


def drill(scene: Rng, take: Rng) -> np.ndarray:
    """A motor, its whining gears, and the grinding of the material while the bit is pressed in."""
    motor, teeth = ac.log_uniform(scene, 140, 520), int(scene.integers(5, 13))
    tilt, mains = scene.uniform(0.6, 1.6), 2 * scene.choice([50, 60])
    whine, grind = scene.uniform(0.1, 0.8), scene.uniform(0.3, 2)
    percussion = scene.choice([0, 0, 1])
    low, high = ac.log_uniform(scene, 500, 2500), ac.log_uniform(scene, 3000, 7500)
    modes, blows = ac.log_uniform(scene, 700, 5000, 3), scene.uniform(40, 70)
    load = np.clip(0.5 + 1.5 * ac.contour(take, N, 1.2), 0, 1)
    spin = np.clip((TIME - take.uniform(-3, 1)) / 0.3, 0, 1)
    turns = ac.cycles(motor * spin * (1 - 0.2 * load + 0.01 * ac.contour(take, N, 15)))
    brushes = 1 + 0.3 * np.sin(2 * np.pi * mains * TIME)
    tone = ac.play(ac.partials(scene, ac.harmonics(motor) ** -tilt), turns) * brushes
    gears = np.sin(2 * np.pi * teeth * turns) * (teeth * motor < 0.45 * ac.RATE)
    chips = ac.band(ac.noise(take, N), low, high)
    chips = chips * (0.4 + ac.play(ac.partials(scene, np.ones(3)), turns)) * load
    hammer = np.clip(np.sin(2 * np.pi * blows * TIME), 0, 1) ** 6 * load * ac.noise(take, N)
    return spin * (tone + whine * gears + grind * chips) + percussion * 3 * ac.ring(
        hammer, modes, np.full(3, 0.01), np.ones(3))


def jackhammer(scene: Rng, take: Rng) -> np.ndarray:
    """Blows 14 to 32 times a second on something metallic, over the hiss of compressed air."""
    rate, jitter, hiss = scene.uniform(14, 32), scene.uniform(0.01, 0.07), scene.uniform(0.02, 0.3)
    modes, decays = ac.log_uniform(scene, 400, 6000, 6), ac.log_uniform(scene, 0.01, 0.09, 6)
    gains, thump = scene.uniform(0.2, 1, 6), scene.uniform(0.2, 2)
    body, air = ac.log_uniform(scene, 60, 160), ac.log_uniform(scene, 800, 3000)
    count = int(rate * DURATION) + 2
    times = (np.arange(count) - take.random() + jitter * take.standard_normal(count)) / rate
    begin = take.uniform(-2, 1.2)
    works = (times > begin) & (times < max(begin, 0) + take.uniform(1.2, 5))
    blows = ac.impulses(times, take.uniform(0.6, 1.2, count) * works, N)
    exhaust = ac.band(ac.noise(take, N), air) * ac.band(blows, high=30) * 60
    ground = ac.ring(blows, np.array([body]), np.array([0.06]), np.array([thump]))
    hissing = hiss * (exhaust + 0.002 * ac.noise(take, N))
    return ac.ring(blows, modes, decays, gains) + ground + hissing


def horn(scene: Rng, take: Rng) -> np.ndarray:
    """One or two loud notes with many harmonics, held or tapped."""
    low, ratio = ac.log_uniform(scene, 230, 520), scene.uniform(1.18, 1.35)
    pair = scene.choice([0, 1, 1])
    tilt, rattle = scene.uniform(0.1, 0.9), scene.uniform(0, 0.02)
    fall = ac.harmonics(low * ratio) ** -tilt
    notes = [ac.partials(scene, fall * scene.uniform(0.3, 1, len(fall))) for _ in range(2)]
    out, start = np.zeros(N), take.uniform(-0.3, 1.2)
    while start < DURATION - 0.1:
        length = take.choice([ac.log_uniform(take, 0.12, 0.4), ac.log_uniform(take, 0.5, 2.5)])
        press = np.clip((TIME - start) / 0.03, 0, 1) * np.clip((start + length - TIME) / 0.05, 0, 1)
        bend = 0.85 + 0.15 * press + rattle * ac.contour(take, N, 30)
        second = pair * ac.play(notes[1], ac.cycles(low * ratio * bend))
        out += press * (ac.play(notes[0], ac.cycles(low * bend)) + second)
        start += length + take.uniform(0.08, 1.5)
    return out


def bark(scene: Rng, take: Rng) -> np.ndarray:
    """One dog: short cries whose pitch jumps up and falls, through a small or a large throat."""
    size = scene.random()
    pitch = 190 * 4**size
    formants = np.array([450, 1250, 2600]) * 1.9**size * scene.uniform(0.85, 1.15, 3)
    rough, sweep = scene.uniform(0.15, 0.8), scene.uniform(0.2, 0.7)
    length, pace = scene.uniform(0.09, 0.26), scene.uniform(0.3, 0.9)
    throat = ac.vowel(scene, pitch * 1.5, formants, scene.uniform(0.6, 1.2))
    out, start = np.zeros(N), take.uniform(0.05, 1.3)
    while start < DURATION - 0.3:
        n = int(ac.RATE * length * take.uniform(0.8, 1.3))
        u = np.arange(n) / n
        f0 = pitch * take.uniform(0.9, 1.1) * (1 + sweep * np.sin(np.pi * u**0.6)) * (
            1 + 0.03 * rough * ac.noise(take, n, 1))
        breath = ac.band(ac.noise(take, n), formants[0], formants[2], 2)
        cry = ac.fade(n, 0.015, 0.6 * length) * (ac.play(throat, ac.cycles(f0)) + rough * breath)
        at = int(start * ac.RATE)
        out[at:at + n] += (cry * take.uniform(0.6, 1))[:N - at]
        start += n / ac.RATE + pace * take.choice([0.3, 1, 1.6]) * take.uniform(0.7, 1.3)
    return out


def rain(scene: Rng, take: Rng) -> np.ndarray:
    """Drops that fall at random on something that rings, and far drops that merge into a hiss."""
    density, far = ac.log_uniform(scene, 60, 3000), ac.log_uniform(scene, 0.1, 1.5)
    slope = scene.uniform(-0.3, 1.1)
    modes, decays = ac.log_uniform(scene, 1000, 7200, 4), ac.log_uniform(scene, 0.002, 0.012, 4)
    drip_rate, drip_mode = scene.choice([0, 0, 3, 9]), ac.log_uniform(scene, 400, 1400)
    count = take.poisson(density * DURATION)
    drops = ac.impulses(take.uniform(0, DURATION, count), take.lognormal(0, 0.9, count), N)
    count = int(drip_rate * DURATION)
    drips = ac.impulses(take.uniform(0, DURATION, count), take.lognormal(1, 0.5, count), N)
    gusts = 2 ** (0.5 * ac.contour(take, N, 0.8))
    near = ac.ring(drops, modes, decays, np.ones(4))
    falling = near / ac.loudness(near) + far * ac.noise(take, N, slope)
    pair = np.array([drip_mode, 2.3 * drip_mode])
    dripping = ac.ring(drips, pair, np.array([0.05, 0.03]), np.ones(2))
    return gusts * falling + dripping / np.abs(dripping).max(initial=1e-9) * 3 * (drip_rate > 0)


def crowd(scene: Rng, take: Rng) -> np.ndarray:
    """Many people who talk at once: each a chain of syllables over a few vowels."""
    people, nearness = int(scene.integers(4, 16)), scene.uniform(0.3, 1.2)
    pitches, loud = ac.log_uniform(scene, 90, 260, people), scene.lognormal(0, nearness, people)
    out, hiss = np.zeros(N), ac.noise(take, N, -0.5)
    for pitch, strength in zip(pitches, loud, strict=True):
        shapes = (pitch / 150) ** 0.3 * take.uniform([280, 850, 2400], [800, 2300, 3200], (5, 3))
        vowels = [ac.vowel(take, pitch, formants) for formants in shapes]
        at = int(take.uniform(-0.3, 0.3) * ac.RATE)
        while at < N:
            n = int(take.uniform(0.12, 0.34) * ac.RATE)
            f0 = pitch * take.uniform(0.85, 1.25) * np.linspace(1, take.uniform(0.8, 1.1), n)
            syllable = ac.fade(n, 0.03, 0.06) * ac.play(vowels[take.integers(5)], ac.cycles(f0))
            here = int(take.integers(N - n))
            syllable[:n // 6] += 0.3 * ac.fade(n // 6, 0.01, 0.01) * hiss[here:here + n // 6]
            piece = syllable[max(-at, 0):N - at]
            out[max(at, 0):max(at, 0) + len(piece)] += strength * take.uniform(0.5, 1) * piece
            at += n + int(take.choice([0, 0, 0.02, 0.4]) * ac.RATE)
    return out


def hum(scene: Rng, take: Rng) -> np.ndarray:
    """A ventilator or a transformer: mains harmonics, a blade tone, and air."""
    mains, tilt = 2 * scene.choice([50, 60]), scene.uniform(0.3, 1.6)
    strengths = np.arange(1, 13) ** -tilt * scene.lognormal(0, 0.8, 12)
    blade, air = ac.log_uniform(scene, 60, 380), ac.log_uniform(scene, 0.1, 2)
    edge = ac.log_uniform(scene, 250, 3500)
    fan, beat = scene.uniform(0, 1.2), scene.uniform(0.2, 5)
    coil = ac.play(ac.partials(scene, strengths), ac.cycles(mains, N))
    blades = ac.partials(scene, np.arange(1, 7) ** -1.3)
    wheel = ac.play(blades, ac.cycles(blade * (1 + 0.004 * ac.contour(take, N, 2))))
    flow = ac.band(ac.noise(take, N, 0.5), 60, edge)
    sway = 1 + 0.3 * np.sin(2 * np.pi * beat * TIME + take.uniform(0, 6.3))
    return coil + sway * (fan * wheel + air * flow / ac.loudness(flow))


def shot(scene: Rng, take: Rng) -> np.ndarray:
    """A blast: a sharp front, noise and a boom that die away, and echoes from the walls around."""
    decay, boom = ac.log_uniform(scene, 0.008, 0.09), ac.log_uniform(scene, 50, 160)
    edge = ac.log_uniform(scene, 1500, 7000)
    weight, automatic, pace = scene.uniform(0.3, 2), scene.random() < 0.25, scene.uniform(6, 13)
    echoes, echo_gains = scene.uniform(0.04, 0.7, 5), scene.uniform(0.02, 0.35, 5)
    start = take.uniform(0.1, 1.5)
    if automatic:
        starts = start + np.arange(take.integers(3, 12)) / pace
    else:
        starts = start + np.cumsum(take.uniform(0.15, 1.2, take.integers(1, 4))) - 0.15
    out = np.zeros(N)
    for at in (starts[starts < DURATION - 0.1] * ac.RATE).astype(int):
        t = TIME[:N - at]
        crack = np.exp(-t / decay) * ac.noise(take, len(t), 0.3) + 4 * np.exp(-t / 0.0008)
        low = weight * np.sin(2 * np.pi * boom * t) * np.exp(-t / (3 * decay))
        out[at:] += take.uniform(0.7, 1) * (ac.band(crack, high=edge) + low)
    for delay, gain in zip((echoes * ac.RATE).astype(int), echo_gains, strict=True):
        out[delay:] += gain * ac.band(out[:N - delay], high=1500)
    return out


SOURCES: dict[str, Callable[[Rng, Rng], np.ndarray]] = {f.__name__: f for f in (
    bark, crowd, drill, engine, horn, hum, jackhammer, rain, shot, siren)}


def classes(size: str) -> tuple[str, ...]:
    return tuple(SOURCES)


def plan(size: str) -> list[tuple]:
    """Class, number and takes of each scene."""
    scenes, takes = SIZES[size]
    return [(label, number, takes) for label in SOURCES for number in range(scenes)]


def render(seed: int, label: str, number: int, takes: int) -> Iterator[ac.Clip]:
    """All takes of one scene."""
    group = f"{label}{number:02d}"
    for index in range(takes):
        take = ac.generator(seed, group, "take", index)
        x = SOURCES[label](ac.generator(seed, group, "device"), take)
        x = record(ac.generator(seed, group, "place"), take, x)
        x = ac.finish(x, take.uniform(1, 18))
        yield ac.Clip(f"{label}/{group}-{index}", label, group, x)


def record(place: Rng, take: Rng, x: np.ndarray) -> np.ndarray:
    """The source as a microphone at that place hears it: air, walls, the street, the device."""
    air, decay = ac.log_uniform(place, 1500, 8000), place.uniform(0.15, 1.2)
    wet = ac.log_uniform(place, 0.02, 1.0)
    slope, rumble, snr = place.uniform(0.4, 2), place.uniform(0, 1), place.uniform(0, 22)
    low, high = ac.log_uniform(place, 25, 250), ac.log_uniform(place, 3000, 8000)
    street = ac.noise(take, N, slope) * 2 ** (rumble * ac.contour(take, N, 0.6))
    x = ac.room(take, ac.band(x, high=air), decay, wet)
    return ac.band(ac.mix(x, street, snr + take.uniform(-3, 3)), low, high)
