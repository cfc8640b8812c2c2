"""The compiled inner loops of a scene: noise, ground, decals, crowns, roofs, shadows, exposure.

They are in one file, with the numbers that they tell materials and shapes by, since what is kept
of compiled code is made anew only when its own file changes.

As in `core.simulate.noise`, only whole-number mixing and exactly rounded arithmetic are used, so
that a pixel is the same in every window and on every machine. `picture` is a `picture.Picture`,
`sun` metres east and north towards the sun for each metre up.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call,untyped-decorator,misc"

import numpy as np
from numba import njit

VOID, LAKE, CROWN, ROOF = 0, 22, 25, 26
"""Materials that the kernels know."""
PAINT, THING, CAR = 0, 1, 2
"""Sorts of decals."""
FLAT, GABLE, HIP = 0, 1, 2
"""Shapes of roofs."""
PARAPET_UP_M = 0.9
_PARAPET_M = 0.7
_DEEP_M = 1400.0  # from the shore to where the lake looks deepest
_WINDSCREEN, _REAR = 0.42, 0.8  # of the brightness of the paint
# Light from the sky alone, as a share of that in the sun, by band: bluish.
_SKY = np.array([0.29, 0.325, 0.385, 0.24])
_HAZE = np.array([0.020, 0.028, 0.042, 0.010])
_SPREAD = 0.09  # of a pixel's light falls into each of its neighbours in a row
_GAIN, _NOISE = 0.96, 0.010

_jit = njit(nogil=True, cache=True, error_model="numpy")

_STEP_I, _STEP_J = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFT_1, _SHIFT_2, _TOP = np.uint64(30), np.uint64(27), np.uint64(40)
_UNIT = 2.0**-24


@_jit
def grain(seed, i, j):
    """Return a number in [0, 1) for the whole numbers i and j; `seed` is a uint64."""
    h = seed ^ (np.uint64(i) * _STEP_I + np.uint64(j) * _STEP_J)
    h = (h ^ (h >> _SHIFT_1)) * _MIX_1
    h = (h ^ (h >> _SHIFT_2)) * _MIX_2
    return np.float64(h >> _TOP) * _UNIT


@_jit
def patches(seed, x, y):
    """Return value noise in [0, 1) that changes over one unit of x and y."""
    column, row = np.floor(x), np.floor(y)
    fx, fy = x - column, y - row
    fx, fy = fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy)
    i, j = np.int64(column), np.int64(row)
    south = grain(seed, i, j) * (1.0 - fx) + grain(seed, i + 1, j) * fx
    north = grain(seed, i, j + 1) * (1.0 - fx) + grain(seed, i + 1, j + 1) * fx
    return south * (1.0 - fy) + north * fy


@_jit
def clip01(value):
    """Return `value`, not below 0 and not above 1."""
    return min(max(value, 0.0), 1.0)


@_jit
def span(picture, x, y, reach_x, reach_y):
    """Return the rows [r0, r1) and columns [c0, c1) that a box around (x, y) can meet."""
    rows, cols = picture.stuff.shape
    c0 = max(int(np.floor(x - reach_x - picture.west)), 0)
    c1 = min(int(np.floor(x + reach_x - picture.west)) + 1, cols)
    r0 = max(int(np.floor(picture.north - y - reach_y)), 0)
    r1 = min(int(np.floor(picture.north - y + reach_y)) + 1, rows)
    return r0, r1, c0, c1


@_jit
def _mix_of_lake(x, y, seed, shore, lattice):
    """Return how shallow the lake looks, 0 to 1, and the light of its waves around 1."""
    origin_x, origin_y, cos, sin, block_e, block_n, first_i, first_j = lattice
    dx, dy = x - origin_x, y - origin_y
    gi = (dx * cos - dy * sin) / block_e - 0.5 - first_i
    gj = (dx * sin + dy * cos) / block_n - 0.5 - first_j
    gi = min(max(gi, 0.0), shore.shape[1] - 1.001)
    gj = min(max(gj, 0.0), shore.shape[0] - 1.001)
    i, j = int(gi), int(gj)
    fi, fj = gi - i, gj - j
    south = shore[j, i] * (1.0 - fi) + shore[j, i + 1] * fi
    north = shore[j + 1, i] * (1.0 - fi) + shore[j + 1, i + 1] * fi
    near = 1.0 - clip01(-(south * (1.0 - fj) + north * fj) / _DEEP_M)
    mix = clip01(near * near + 0.25 * (patches(seed, x / 160.0, y / 260.0) - 0.5))
    wave = patches(seed, (x + 0.5 * y) / 17.0, (y - 0.5 * x) / 5.0) - 0.5
    wave += 0.6 * (patches(seed, (x + 0.4 * y) / 6.0, (y - 0.4 * x) / 2.0) - 0.5)
    return mix, 1.0 + 0.05 * wave


@_jit
def colour_ground(picture, seed, look, shore, lattice):
    """Colour each pixel by its material.

    Args:
        picture: Its `albedo` is changed.
        seed: A uint64.
        look: (materials, 12), see `materials.LOOK`.
        shore: (J, I) metres from the middles of blocks to the lake's shore, negative in it.
        lattice: Origin (x, y), cosine and sine of the street grid, length of a block east and
            north, numbers of the first block.
    """
    rows, cols = picture.stuff.shape
    for r in range(rows):
        y = picture.north - (r + 0.5)
        for c in range(cols):
            code = picture.stuff[r, c]
            if code == VOID:
                continue
            x = picture.west + (c + 0.5)
            k = look[code]
            rough = 1.0
            if code == LAKE:
                mix, rough = _mix_of_lake(x, y, seed, shore, lattice)
            else:
                mix = 0.5 + k[8] * (patches(seed, x / 45.0, y / 45.0) - 0.5)
                mix += k[9] * (patches(seed, x / 9.0 + 0.37, y / 9.0) - 0.5)
                mix += k[10] * (patches(seed, x / 2.5, y / 2.5 + 0.21) - 0.5)
                mix = clip01(mix)
            rough += 2.0 * k[11] * (grain(seed, picture.west + c, picture.north - r) - 0.5)
            for band in range(4):
                picture.albedo[r, c, band] = (k[band] + (k[4 + band] - k[band]) * mix) * rough


@_jit
def _stands(picture, shape, on):
    """Return whether the middle and the corners lie in the picture on materials of `on`."""
    x, y, hu, hv, ux, uy = shape
    rows, cols = picture.stuff.shape
    for k in range(5):
        du = hu * ((k & 1) * 2.0 - 1.0) if k < 4 else 0.0
        dv = hv * ((k >> 1) * 2.0 - 1.0) if k < 4 else 0.0
        c = int(np.floor(x + du * ux - dv * uy - picture.west))
        r = int(np.floor(picture.north - (y + du * uy + dv * ux)))
        inside = 0 <= r < rows and 0 <= c < cols
        if not inside or not (on >> picture.stuff[r, c]) & 1:
            return False
    return True


@_jit
def _lay_one(picture, shape, colour, alpha, top, on, sort):
    """Lay one decal, see `Decals`; `shape` is x, y, half_u, half_v, ux, uy."""
    x, y, hu, hv, ux, uy = shape
    reach_x, reach_y = hu * abs(ux) + hv * abs(uy) + 0.75, hu * abs(uy) + hv * abs(ux) + 0.75
    r0, r1, c0, c1 = span(picture, x, y, reach_x, reach_y)
    if r0 >= r1 or c0 >= c1 or (sort != PAINT and not _stands(picture, shape, on)):
        return
    for r in range(r0, r1):
        dy = picture.north - (r + 0.5) - y
        for c in range(c0, c1):
            dx = picture.west + (c + 0.5) - x
            ahead, left = dx * ux + dy * uy, dy * ux - dx * uy
            # How much of the pixel lies between the long and between the short sides.
            along = min(hu + 0.5 - abs(ahead), min(1.0, 2.0 * hu))
            across = min(hv + 0.5 - abs(left), min(1.0, 2.0 * hv))
            if along <= 0.0 or across <= 0.0 or not (on >> picture.stuff[r, c]) & 1:
                continue
            share = along * across * alpha
            tone = 1.0
            if sort == CAR and abs(left) < hv:
                part = ahead / hu
                if 0.1 < part < 0.5:
                    tone = _WINDSCREEN
                elif part < -0.55:
                    tone = _REAR
            for band in range(4):
                under = picture.albedo[r, c, band]
                picture.albedo[r, c, band] = under + (colour[band] * tone - under) * share
            if top >= 0.0 and abs(ahead) < hu and abs(left) < hv:
                picture.height[r, c] = max(picture.height[r, c], top)
                picture.light[r, c] = 1.0


@_jit
def lay(picture, shape, colour, alpha, top, on, sort):
    """Lay decals in their order; columns as in `decals.Decals`."""
    for n in range(len(shape)):
        _lay_one(picture, shape[n], colour[n], alpha[n], top[n], on[n], sort[n])


@_jit
def _grow_one(picture, shape, colour, key, sun):
    """Draw one crown; `shape` is x, y, radius and height in metres."""
    x, y, radius, tall = shape
    slope = 0.9 * tall / (radius * radius)
    r0, r1, c0, c1 = span(picture, x, y, 1.15 * radius, 1.15 * radius)
    for r in range(r0, r1):
        dy = picture.north - (r + 0.5) - y
        for c in range(c0, c1):
            dx = picture.west + (c + 0.5) - x
            lobes = patches(key, dx / 2.4, dy / 2.4) - 0.5
            edge = radius * (1.0 + 0.28 * lobes)
            share = (dx * dx + dy * dy) / (edge * edge)
            if share >= 1.0 or picture.stuff[r, c] == VOID:
                continue
            clumps = patches(key + np.uint64(1), dx / 1.35, dy / 1.35) - 0.5
            z = tall * (1.0 - 0.45 * share) + 1.6 * lobes + 1.2 * clumps
            if z <= picture.height[r, c]:
                continue
            gx, gy = slope * dx, slope * dy
            facing = 1.0 + gx * sun[0] + gy * sun[1]
            facing /= np.sqrt(1.0 + gx * gx + gy * gy)
            picture.height[r, c] = z
            picture.light[r, c] = max(0.42, 0.34 + 0.72 * facing) * (1.0 + 0.7 * clumps)
            picture.stuff[r, c] = CROWN
            for band in range(4):
                picture.albedo[r, c, band] = colour[band] * (1.0 + 0.22 * clumps)


@_jit
def grow(picture, shape, colour, keys, sun):
    """Draw crowns over what is lower: `shape` (N, 4) x, y, radius, height; `colour` (N, 4)."""
    for n in range(len(shape)):
        _grow_one(picture, shape[n], colour[n], keys[n], sun)


@_jit
def _flat(u, v, inside, eave, key):
    """Return height and tone of a flat roof `inside` metres from its edge."""
    if inside < _PARAPET_M:
        return eave + PARAPET_UP_M, 1.10
    stains = patches(key, u / 6.0, v / 6.0) - 0.5
    spots = patches(key, u / 1.9, v / 1.9 + 0.4) - 0.5
    return eave, 1.0 + 0.13 * stains + 0.06 * spots


@_jit
def _pitched(u, v, half, slope, shape, sun_u, sun_v):
    """Return metres above the eaves and sunlight on a sloping roof."""
    in_u, in_v = half[0] - abs(u), half[1] - abs(v)
    # The ridge of a gable runs along the longer side.
    falls_u = in_u < in_v if shape == HIP else half[0] < half[1]
    rise, at, to_sun = (in_u, u, sun_u) if falls_u else (in_v, v, sun_v)
    facing = 1.0 + (slope if at >= 0.0 else -slope) * to_sun
    return max(rise, 0.0) * slope, max(facing, 0.0) / np.sqrt(1.0 + slope * slope)


@_jit
def _seams(along, key):
    """Return the tone of metal sheets, with rust that runs along them."""
    sheet = patches(key, along / 1.1, 0.5) - 0.5
    rust = patches(key, along / 7.0, 3.5) - 0.5
    return (1.0 + 0.07 * sheet) * (1.0 + 0.10 * rust)


@_jit
def _roof_one(picture, body, look, shape, is_metal, key, sun):
    """Draw one roof; `body` is x, y, half_u, half_v, ux, uy, `look` eave, slope and colour."""
    x, y, hu, hv, ux, uy = body
    eave, slope = look[0], look[1]
    sun_u, sun_v = sun[0] * ux + sun[1] * uy, sun[1] * ux - sun[0] * uy
    reach_x, reach_y = hu * abs(ux) + hv * abs(uy) + 0.75, hu * abs(uy) + hv * abs(ux) + 0.75
    r0, r1, c0, c1 = span(picture, x, y, reach_x, reach_y)
    for r in range(r0, r1):
        dy = picture.north - (r + 0.5) - y
        for c in range(c0, c1):
            dx = picture.west + (c + 0.5) - x
            u, v = dx * ux + dy * uy, dy * ux - dx * uy
            in_u, in_v = hu - abs(u), hv - abs(v)
            if in_u <= -0.5 or in_v <= -0.5 or picture.stuff[r, c] == VOID:
                continue
            if shape == FLAT:
                z, tone = _flat(u, v, min(in_u, in_v), eave, key)
                facing = 1.0
            else:
                rise, facing = _pitched(u, v, (hu, hv), slope, shape, sun_u, sun_v)
                z, tone = eave + rise, 1.0 + 0.10 * (patches(key, u / 1.8, v / 1.8) - 0.5)
            if is_metal:
                tone *= _seams(u if hu >= hv else v, key)
            tone *= 1.0 + 0.05 * (grain(key, picture.west + c, picture.north - r) - 0.5)
            share = min(in_u + 0.5, 1.0) * min(in_v + 0.5, 1.0)
            for band in range(4):
                under = picture.albedo[r, c, band]
                over = clip01(look[2 + band] * tone)
                picture.albedo[r, c, band] = under + (over - under) * share
            if in_u > 0.0 and in_v > 0.0:
                picture.height[r, c], picture.light[r, c] = z, facing
                picture.stuff[r, c] = ROOF


@_jit
def draw_roofs(picture, body, look, shape, is_metal, keys, sun):
    """Draw roofs over all that is there.

    Args:
        picture: Changed, its materials too.
        body: (N, 6) x, y, half_u, half_v, ux, uy.
        look: (N, 6) height of the eaves, slope, four colours.
        shape: (N,) `FLAT`, `GABLE` or `HIP`.
        is_metal: (N,) whether seams and rust show.
        keys: (N,) uint64.
        sun: Metres east and north towards the sun for each metre up.
    """
    for n in range(len(body)):
        _roof_one(picture, body[n], look[n], shape[n], is_metal[n], keys[n], sun)


@_jit
def shade(picture, towards, cot):
    """Return the share of sunlight that is kept off each pixel (R, C), 0 to 1.

    A ray is a digital line towards the sun, anchored to the map, so that each pixel lies on one
    line only and no window changes it. Walked from the sun's side, the height up to which there is
    shadow sinks by the sun's slope and rises to what stands in the way.

    Args:
        picture: With what stands in it.
        towards: Unit vector east, north towards the sun.
        cot: Cotangent of the sun's elevation.
    """
    height = picture.height
    rows, cols = height.shape
    sun_e, sun_n = towards
    shadow = np.zeros((rows, cols), np.float32)
    level = np.zeros((rows, cols), np.float32)
    by_rows = abs(sun_n) >= abs(sun_e)
    if by_rows:
        lines, across, slope, from_first = rows, cols, sun_e / abs(sun_n), sun_n > 0.0
        number, sign = picture.north, -1 if sun_n > 0.0 else 1
    else:
        lines, across, slope, from_first = cols, rows, -sun_n / abs(sun_e), sun_e < 0.0
        number, sign = picture.west, -1 if sun_e < 0.0 else 1
    drop = np.float32(np.sqrt(1.0 + slope * slope) / cot)
    for n in range(lines):
        line = n if from_first else lines - 1 - n
        before = line - 1 if from_first else line + 1
        # How many lines of the map lie between this one and the map's origin, on the sun's side.
        m = (line - number if by_rows else line + number) * sign
        jump = int(np.floor((m + 1) * slope + 0.5) - np.floor(m * slope + 0.5))
        for k in range(across):
            here = height[line, k] if by_rows else height[k, line]
            come = np.float32(0.0)
            j = k + jump
            if 0 <= before < lines and 0 <= j < across:
                come = (level[before, j] if by_rows else level[j, before]) - drop
            # What stands in the way ends half a pixel before its middle. Slopes gentler than half
            # the sun's keep no light off themselves.
            dark = np.float32(clip01((come - here) / (0.5 * drop) + 1.0))
            top = max(here, come)
            if by_rows:
                shadow[line, k], level[line, k] = dark, top
            else:
                shadow[k, line], level[k, line] = dark, top
    return _softened(shadow)


@_jit
def _softened(shadow):
    """Return a 3 × 3 mean with weights 1, 2, 1, which hides the steps of digital lines."""
    rows, cols = shadow.shape
    soft = np.zeros((rows, cols), np.float32)
    for r in range(1, rows - 1):
        for c in range(1, cols - 1):
            total = np.float32(0.0)
            for i in range(-1, 2):
                total += (2 - i * i) * (
                    shadow[r + i, c - 1] + 2.0 * shadow[r + i, c] + shadow[r + i, c + 1]
                )
            soft[r, c] = total / 16.0
    return soft


@_jit
def expose(picture, shadow, seed, window):
    """Return the picture (4, h, w) of a window of the scene: row, column, height, width.

    The window keeps two pixels off the edges of the scene. Pixels of material 0 stay 0, all others
    are at least 1.
    """
    row, col, rows, cols = window
    image = np.zeros((4, rows, cols), np.uint8)
    wide = np.zeros((rows + 2, cols + 2), np.float32)
    for band in range(4):
        sky = _SKY[band]
        for r in range(rows + 2):
            for c in range(cols + 2):
                i, j = row + r - 1, col + c - 1
                sun = (1.0 - shadow[i, j]) * picture.light[i, j]
                wide[r, c] = picture.albedo[i, j, band] * (sky + (1.0 - sky) * sun)
        for r in range(rows):
            for c in range(cols):
                if picture.stuff[row + r, col + c] == VOID:
                    continue
                above = wide[r, c + 1] * (1 - 2 * _SPREAD) + _SPREAD * (wide[r, c] + wide[r, c + 2])
                level = wide[r + 1, c + 1] * (1 - 2 * _SPREAD)
                level += _SPREAD * (wide[r + 1, c] + wide[r + 1, c + 2])
                below = wide[r + 2, c + 1] * (1 - 2 * _SPREAD)
                below += _SPREAD * (wide[r + 2, c] + wide[r + 2, c + 2])
                value = level * (1 - 2 * _SPREAD) + _SPREAD * (above + below)
                x, y = picture.west + col + c, picture.north - row - r
                value = _HAZE[band] + _GAIN * value
                value += _NOISE * (grain(seed + np.uint64(band), x, y) - 0.5)
                image[band, r, c] = np.uint8(min(max(value * 255.0 + 0.5, 1.0), 255.0))
    return image
