"""What the standard library lacks and schemes need: AES encryption (FIPS 197) and strict Ed25519 (RFC 8032).

Written from the standards for checking vectors, slow and not for secrets.
"""

import hashlib

# --- AES ---


def _times2(x):
    return (x << 1 ^ (0x1B if x & 0x80 else 0)) & 0xFF


def _sbox():
    # Walks the powers of 3 and their inverses together.
    box, p, q = [0x63] * 256, 1, 1
    while True:
        p ^= _times2(p)
        for shift in (1, 2, 4):
            q ^= q << shift & 0xFF
        q ^= 0x09 if q & 0x80 else 0
        box[p] = q ^ 0x63
        for turn in (1, 2, 3, 4):
            box[p] ^= (q << turn | q >> 8 - turn) & 0xFF
        if p == 1:
            return bytes(box)


SBOX = _sbox()


def _round_keys(key):
    words = [key[i : i + 4] for i in range(0, len(key), 4)]
    n, power = len(words), 1
    for i in range(n, 4 * (n + 7)):
        word = words[-1]
        if i % n == 0:
            word = bytes(SBOX[b] for b in word[1:] + word[:1])
            word = bytes((word[0] ^ power,)) + word[1:]
            power = _times2(power)
        elif n > 6 and i % n == 4:
            word = bytes(SBOX[b] for b in word)
        words.append(bytes(a ^ b for a, b in zip(words[i - n], word)))
    return [b"".join(words[i : i + 4]) for i in range(0, len(words), 4)]


def aes(key):
    """The function that encrypts a block under a key of 16 or 32 bytes."""
    first, *middle, last = _round_keys(key)

    def encrypt(block):
        state = bytes(a ^ b for a, b in zip(block, first))
        for number, round_key in enumerate((*middle, last)):
            # Bytes are substituted while rows are shifted: column c takes row r from column c + r.
            state = bytes(SBOX[state[(4 * (c + r) + r) % 16]] for c in range(4) for r in range(4))
            if number < len(middle):
                mixed = bytearray()
                for c in range(0, 16, 4):
                    a = state[c : c + 4]
                    every = a[0] ^ a[1] ^ a[2] ^ a[3]
                    mixed += bytes(a[r] ^ every ^ _times2(a[r] ^ a[(r + 1) % 4]) for r in range(4))
                state = mixed
            state = bytes(a ^ b for a, b in zip(state, round_key))
        return state

    return encrypt


def counter_stream(key, count):
    """`count` blocks of counter mode from 0."""
    encrypt = aes(key)
    return [encrypt(number.to_bytes(16, "big")) for number in range(count)]


# --- Ed25519 ---

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1)


def _add(one, other):
    (x1, y1), (x2, y2) = one, other
    t = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def _times(number, point):
    total = NEUTRAL
    while number:
        if number & 1:
            total = _add(total, point)
        point = _add(point, point)
        number >>= 1
    return total


def _point(data):
    """The point of 32 bytes in their one spelling, or None."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * ROOT % P
    if x * x % P != square or (x == 0 and sign):
        return None
    return (P - x if x & 1 != sign else x), y


def _write(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


BASE = _point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def public_key(secret):
    """The key that belongs to a secret of 32 bytes."""
    half = int.from_bytes(hashlib.sha512(secret).digest()[:32], "little")
    return _write(_times(half & (1 << 254) - 8 | 1 << 254, BASE))


def verify_strict(key, message, signature):
    """Whether a signature holds as §3.2 has it: no other spellings, no points of small order."""
    points = [_point(key), _point(signature[:32])]
    s = int.from_bytes(signature[32:], "little")
    if None in points or s >= ORDER or any(_times(8, point) == NEUTRAL for point in points):
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    return _times(s, BASE) == _add(points[1], _times(k, points[0]))
