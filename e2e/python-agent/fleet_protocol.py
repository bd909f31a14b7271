"""Pure computations of the FleetUpdate agent protocol, version 1."""

import base64
import hashlib
import hmac
import json
import re
from dataclasses import dataclass

PRIME = 2**255 - 19
BASE_POINT = (9).to_bytes(32, "little")
TOKEN_TEXT = re.compile(r"[A-Za-z0-9._-]{1,128}")
FRAME = re.compile(r"([1-9][0-9]{0,15}) ([A-Za-z0-9_-]{43}) (\{.*\})", re.DOTALL)
ANSWER_PARAMS = re.compile(
    r'fleet=(\("@status" "content-digest" "signature";req;key="fleet"\);created=[0-9]{1,12};'
    r'alg="hmac-sha256";keyid="([^"]*)";tag="fleet-server-v1")'
)


class ProtocolError(Exception):
    """The other side broke the protocol; `close_code` is the matching WebSocket close code."""

    def __init__(self, message, close_code=4400):
        super().__init__(message)
        self.close_code = close_code


def b64url(data):
    """Encode bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text, size):
    """Decode base64url without padding, accepting only the canonical form of `size` bytes."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (TypeError, ValueError) as error:
        raise ProtocolError("not base64url") from error
    if len(data) != size or b64url(data) != text:
        raise ProtocolError(f"not {size} bytes of base64url")
    return data


def mac(key, text):
    """HMAC-SHA256 of a text or of bytes."""
    return hmac.digest(key, text.encode() if isinstance(text, str) else text, "sha256")


def hkdf(ikm, salt, info):
    """HKDF-SHA256 with 32 bytes of output, which is a single expansion round."""
    return mac(mac(salt, ikm), info + b"\x01")


def x25519(private, public):
    """X25519 of RFC 7748; an all-zero result is refused."""
    scalar = int.from_bytes(private, "little") & ~7 & ~(1 << 255) | (1 << 254)
    x1 = int.from_bytes(public, "little") & ((1 << 255) - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for position in reversed(range(255)):
        bit = scalar >> position & 1
        if swap != bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swap = bit
        a, b = x2 + z2, x2 - z2
        aa, bb = a * a % PRIME, b * b % PRIME
        e, da, cb = aa - bb, (x3 - z3) * a, (x3 + z3) * b
        x3, z3 = (da + cb) ** 2 % PRIME, x1 * (da - cb) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, e * (aa + 121665 * e) % PRIME
    if swap:
        x2, z2 = x3, z3
    shared = (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")
    if not any(shared):
        raise ProtocolError("the X25519 result is zero")
    return shared


def public_key(private):
    """The X25519 public key of a private key."""
    return x25519(private, BASE_POINT)


@dataclass(frozen=True)
class Identity:
    """An agent's name, its key's name and its root key."""

    agent_id: str
    kid: str
    root: bytes

    def key(self, label):
        """The key of one purpose and direction."""
        return hkdf(self.root, b"", f"fleetupdate/v1/{label}\0{self.agent_id}\0{self.kid}".encode())

    @property
    def keyid(self):
        """The key's full name, as signatures carry it."""
        return f"{self.agent_id}/{self.kid}"


def secret_of(text):
    """Split an operator's secret into its id and its bytes."""
    token = re.fullmatch(r"fle_([^_]+)_(.+)", text)
    return (token[1], token[2].encode()) if token else ("psk", text.encode())


def transcript_hash(agent_id, secret_id, enrolment_id, kid, agent_key, server_key):
    """The hash that binds all public values of an enrolment."""
    parts = ["fleetupdate-enrolment-v1", agent_id, secret_id, enrolment_id, kid, agent_key, server_key]
    return hashlib.sha256("\n".join(parts).encode()).digest()


def enrol(private, secret_id, secret, agent_id, answer):
    """Compute (identity, own confirmation, expected confirmation) from the server's answer to `start`."""
    enrolment_id, kid, server_key = (answer.get(name) for name in ("enrolmentId", "kid", "serverKey"))
    for text in (enrolment_id, kid):
        if not isinstance(text, str) or not TOKEN_TEXT.fullmatch(text):
            raise ProtocolError("malformed answer to the enrolment")
    digest = transcript_hash(agent_id, secret_id, enrolment_id, kid, b64url(public_key(private)), server_key)
    shared = x25519(private, unb64url(server_key, 32))
    identity = Identity(agent_id, kid, hkdf(shared + secret, digest, b"fleetupdate/v1/root"))
    own, expected = (b64url(mac(identity.key(label), digest)) for label in ("enrol/a2s", "enrol/s2a"))
    return identity, own, expected


def next_key(identity, private, kid, server_key):
    """Compute (next identity, own confirmation, expected confirmation) when the server begins to give a new key."""
    own_key = b64url(public_key(private))
    parts = ["fleetupdate-rekey-v1", identity.agent_id, identity.kid, kid, own_key, server_key]
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    shared = x25519(private, unb64url(server_key, 32))
    fresh = Identity(identity.agent_id, kid, hkdf(shared + identity.root, digest, b"fleetupdate/v1/root"))
    own, expected = (b64url(mac(fresh.key(label), digest)) for label in ("rekey/a2s", "rekey/s2a"))
    return fresh, own, expected


def content_digest(body):
    """The content-digest header of a body."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def _signature(key, components, params):
    """The signature header over the given components."""
    lines = [f"{name}: {value}" for name, value in (*components, ('"@signature-params"', params))]
    return f"fleet=:{base64.b64encode(mac(key, chr(10).join(lines))).decode()}:"


def sign_request(identity, method, authority, path, query, body, created, nonce):
    """The headers that sign a request; `query` includes its question mark."""
    digest = content_digest(body)
    components = (
        ('"@method"', method), ('"@authority"', authority), ('"@path"', path), ('"@query"', query),
        ('"content-type"', "application/json"), ('"content-digest"', digest),
    )
    names = " ".join(name for name, _ in components)
    params = (f'({names});created={created};nonce="{nonce}";alg="hmac-sha256";'
              f'keyid="{identity.keyid}";tag="fleet-agent-v1"')
    return {
        "content-type": "application/json",
        "content-digest": digest,
        "signature-input": f"fleet={params}",
        "signature": _signature(identity.key("http/a2s"), components, params),
    }


def verify_answer(identity, status, headers, body, request_signature):
    """Raise unless the answer is signed by the server for exactly this request."""
    params = ANSWER_PARAMS.fullmatch(headers.get("signature-input") or "")
    if not params or params[2] != identity.keyid:
        raise ProtocolError(f"the answer {status} is not signed")
    digest = content_digest(body)
    components = (
        ('"@status"', status), ('"content-digest"', digest),
        ('"signature";req;key="fleet"', request_signature.removeprefix("fleet=")),
    )
    expected = _signature(identity.key("http/s2a"), components, params[1])
    right = hmac.compare_digest((headers.get("signature") or "").encode(), expected.encode())
    if not right or headers.get("content-digest") != digest:
        raise ProtocolError(f"the answer {status} is wrongly signed")


class Session:
    """Seals the frames of one WebSocket session and opens those of the server."""

    def __init__(self, identity, session, agent_nonce, server_nonce):
        self.session = session
        salt = unb64url(agent_nonce, 16) + unb64url(server_nonce, 16)
        info = f"fleetupdate/v1/session\0{session}".encode()
        self.keys = {way: hkdf(identity.key(f"ws/{way}"), salt, info) for way in ("a2s", "s2a")}
        self.sequence = {"a2s": 0, "s2a": 0}

    def _mac(self, direction, sequence, payload):
        return b64url(mac(self.keys[direction], f"{direction}\n{self.session}\n{sequence}\n{payload}"))

    def seal(self, payload, direction="a2s"):
        """The wire form of the next payload."""
        self.sequence[direction] += 1
        sequence = self.sequence[direction]
        return f"{sequence} {self._mac(direction, sequence, payload)} {payload}"

    def open(self, message, direction="s2a"):
        """The payload of the next message, once its sequence and MAC are right."""
        sequence, given, payload = split_frame(message)
        right = hmac.compare_digest(given, self._mac(direction, sequence, payload))
        if sequence != self.sequence[direction] + 1 or not right:
            raise ProtocolError("wrong MAC or sequence", 4401)
        self.sequence[direction] = sequence
        return payload


def split_frame(message):
    """Split a wire frame into sequence, MAC and payload without trusting any."""
    match = FRAME.fullmatch(message)
    if not match:
        raise ProtocolError("malformed frame")
    return int(match[1]), match[2], match[3]


def open_welcome(identity, agent_nonce, message):
    """The session that a first frame opens and the verified frame itself."""
    claimed = parse_object(split_frame(message)[2])
    if claimed.get("type") != "welcome" or not isinstance(claimed.get("session"), str):
        raise ProtocolError("the first frame is not a welcome")
    session = Session(identity, claimed["session"], agent_nonce, claimed.get("nonce"))
    return session, parse_object(session.open(message))


def parse_object(text):
    """Parse JSON that must be an object."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ProtocolError("not JSON") from error
    if not isinstance(value, dict):
        raise ProtocolError("not a JSON object")
    return value
