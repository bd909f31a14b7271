"""A small FleetUpdate agent with one executor, `demo`."""

import argparse
import base64
import hashlib
import http.client
import json
import math
import os
import random
import re
import secrets
import socket
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import fleet_protocol as fp

VERSION = "1.0.0"
EXECUTOR = {"id": "demo", "version": VERSION, "contractHash": hashlib.sha256(b"demo").hexdigest(), "health": "ok"}
COMMAND_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
AGENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MAX_MESSAGE, MAX_CHUNK, MAX_FRAMES = 1 << 20, 64 << 10, 256
PING, SILENCE, REPEAT, KEEP = 20, 60, 10, timedelta(days=30)
FALLBACK_AFTER, POLL_FOR, STABLE = 15, 45, 30


class Refused(Exception):
    """A signed refusal of the server."""

    def __init__(self, status, answer):
        super().__init__(f"{status} {answer.get('code')}: {answer.get('message')}")
        self.code, self.details = answer.get("code"), answer.get("details") or {}


class SessionLost(Exception):
    """The session ended and another one is needed."""


FAILURES = (OSError, http.client.HTTPException, fp.ProtocolError, Refused, SessionLost)


def log(text):
    """Say something to the operator."""
    print(text, file=sys.stderr, flush=True)


def iso(moment):
    """A time as the protocol writes it."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text):
    """Read a time of the protocol, which must say its zone."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment


def now():
    """The local wall clock."""
    return datetime.now(timezone.utc)


def store(path, value):
    """Replace a JSON file atomically and durably, readable by its owner only."""
    temporary = path.with_suffix(".tmp")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def load(path):
    """Read a JSON file, or None where there is none."""
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def back_off(tries, deadline):
    """Wait before the n-th new try."""
    limit = min(5, 0.5 * 2 ** min(tries, 10))
    time.sleep(max(0, min(random.uniform(0, limit), deadline - time.monotonic())))


class Server:
    """The server's HTTP side: unsigned for enrolment, signed and verified for everything else."""

    def __init__(self, url):
        parts = urlsplit(url)
        self.secure, self.host, self.port = parts.scheme == "https", parts.hostname, parts.port
        default = 443 if self.secure else 80
        name = f"[{self.host}]" if ":" in self.host else self.host
        self.authority = name if self.port in (None, default) else f"{name}:{self.port}"
        self.prefix = parts.path.rstrip("/")
        self.identity, self.offset, self.boot = None, 0.0, ""

    def connection(self, timeout):
        """A fresh connection, not yet dialled."""
        kind = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
        return kind(self.host, self.port, timeout=timeout)

    def enrol_step(self, payload):
        """One unsigned enrolment request; gives (status, answer)."""
        connection = self.connection(15)
        try:
            connection.request("POST", self.prefix + "/api/agent/enroll", json.dumps(payload),
                               {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, fp.parse_object(response.read(MAX_MESSAGE))
        finally:
            connection.close()

    def sign(self, method, path, body=b"", nonce=None):
        """The signed headers of a request."""
        created = int(time.time() + self.offset)
        return fp.sign_request(self.identity, method, self.authority, self.prefix + path, "?", body, created,
                               nonce or fp.b64url(secrets.token_bytes(16)))

    def verified(self, response, headers):
        """The verified object of an answer; signed refusals are raised."""
        body = response.read()
        fp.verify_answer(self.identity, response.status, response.headers, body, headers["signature"])
        answer = fp.parse_object(body)
        if response.status != 200:
            raise Refused(response.status, answer)
        return answer

    def set_clock(self, details):
        """Keep the offset to the server's clock."""
        self.offset = parse_time(details["time"]).timestamp() - time.time()

    def set_boot(self, details):
        """Keep the name of the server process."""
        self.boot = str(details["boot"])

    def with_remedies(self, attempt):
        """Run a request, and once again for each refusal that says how to do better."""
        remedies = {"FLT_AUTH_CLOCK": self.set_clock, "FLT_AUTH_BOOT": self.set_boot}
        while True:
            try:
                return attempt()
            except Refused as refusal:
                remedy = remedies.pop(refusal.code, None)
                if not remedy:
                    raise
                remedy(refusal.details)

    def poll(self, message, wait):
        """One signed poll."""
        def attempt():
            body = json.dumps({"boot": self.boot, "wait": wait, **message}, ensure_ascii=False).encode()
            headers = self.sign("POST", "/api/agent/poll", body)
            connection = self.connection(wait + 15)
            try:
                connection.request("POST", self.prefix + "/api/agent/poll", body, headers)
                return self.verified(connection.getresponse(), headers)
            finally:
                connection.close()
        answer = self.with_remedies(attempt)
        self.set_boot(answer)
        return answer

    def upgrade(self):
        """Open a WebSocket; gives (socket, nonce of the upgrade)."""
        return self.with_remedies(self._upgrade)

    def _upgrade(self):
        nonce, key = fp.b64url(secrets.token_bytes(16)), base64.b64encode(secrets.token_bytes(16)).decode()
        headers = self.sign("GET", "/api/agent/connect", nonce=nonce)
        connection = self.connection(15)
        try:
            connection.request("GET", self.prefix + "/api/agent/connect", headers={
                **headers, "upgrade": "websocket", "connection": "Upgrade",
                "sec-websocket-version": "13", "sec-websocket-key": key})
            response = http.client.HTTPResponse(Unbuffered(connection.sock), method="GET")
            response.begin()
            if response.status != 101:
                self.verified(response, headers)
            accept = base64.b64encode(hashlib.sha1((key + WEBSOCKET_GUID).encode()).digest()).decode()
            if response.getheader("sec-websocket-accept") != accept or response.getheader("sec-websocket-extensions"):
                raise fp.ProtocolError("not a WebSocket handshake")
            return connection.sock, nonce
        except BaseException:
            connection.close()
            raise


class Unbuffered:
    """Lets HTTPResponse read a socket without swallowing what follows the headers."""

    def __init__(self, sock):
        self.sock = sock

    def makefile(self, mode):
        """An unbuffered file over the socket."""
        return self.sock.makefile(mode, buffering=0)


class WebSocketTransport:
    """Frames sealed in the text messages of a WebSocket."""

    patience = 1

    def __init__(self, server):
        self.server, self.sock, self.session, self.buffer = server, None, None, bytearray()

    def open(self, hello):
        """Connect, verify `welcome` and send `hello`; gives (welcome, further frames)."""
        self.sock, nonce = self.server.upgrade()
        message = self._receive(time.monotonic() + 10)
        if message is None:
            raise SessionLost("no welcome")
        self.session, welcome = fp.open_welcome(self.server.identity, nonce, message)
        self._send_frame(hello)
        return welcome, []

    def exchange(self, frames, patience):
        """Send frames and give those that arrived within `patience` seconds."""
        for frame in frames:
            self._send_frame(frame)
        message = self._receive(time.monotonic() + patience)
        return [] if message is None else [fp.parse_object(self.session.open(message))]

    def close(self, code=1000):
        """End the connection, politely where that is possible."""
        if self.sock:
            try:
                self._send(8, code.to_bytes(2, "big"))
            except OSError:
                pass
            self.sock.close()

    def _send_frame(self, frame):
        self._send(1, self.session.seal(json.dumps(frame, ensure_ascii=False)).encode())

    def _send(self, opcode, data):
        size = len(data)
        if size < 126:
            length = bytes([0x80 | size])
        elif size < 1 << 16:
            length = b"\xfe" + size.to_bytes(2, "big")
        else:
            length = b"\xff" + size.to_bytes(8, "big")
        mask = secrets.token_bytes(4)
        stream = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        masked = (int.from_bytes(data, "big") ^ stream).to_bytes(size, "big")
        self.sock.settimeout(15)
        self.sock.sendall(bytes([0x80 | opcode]) + length + mask + masked)

    def _receive(self, deadline):
        while True:
            message = self._take()
            if message:
                opcode, data = message
                if opcode == 1:
                    return data.decode(errors="replace")
                self._control(opcode, data)
                continue
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return None
            self.sock.settimeout(remaining)
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                return None
            if not data:
                raise SessionLost("the connection ended")
            self.buffer += data

    def _take(self):
        if len(self.buffer) < 2:
            return None
        first, size, start = self.buffer[0], self.buffer[1], 2
        if first & 0xF0 != 0x80 or size & 0x80:
            raise fp.ProtocolError("a fragmented, compressed or masked message", 1002)
        if size in (126, 127):
            start = 4 if size == 126 else 10
            size = int.from_bytes(self.buffer[2:start], "big") if len(self.buffer) >= start else 0
        if size > MAX_MESSAGE:
            raise fp.ProtocolError("a message is too large", 1009)
        if len(self.buffer) < start + size:
            return None
        data = bytes(self.buffer[start:start + size])
        del self.buffer[:start + size]
        return first & 15, data

    def _control(self, opcode, data):
        if opcode == 8:
            raise SessionLost(f"closed with {int.from_bytes(data[:2], 'big') if data else 1005}")
        if opcode == 9:
            self._send(10, data)
        elif opcode != 10:
            raise fp.ProtocolError("not a text message", 1003)


class PollTransport:
    """The same frames, plain, in signed polls."""

    patience = 5

    def __init__(self, server):
        self.server, self.session = server, None

    def open(self, hello):
        """Send `hello`; gives (welcome, further frames)."""
        frames = self._poll({"frames": [hello]}, 0)
        welcome = frames.pop(0) if frames else {}
        if welcome.get("type") != "welcome" or not isinstance(welcome.get("session"), str):
            raise fp.ProtocolError("no welcome in the first answer")
        self.session = welcome["session"]
        return welcome, frames

    def exchange(self, frames, patience):
        """Upload frames, or wait for some where there is nothing to upload."""
        wait = 0 if frames else math.ceil(patience)
        received, batch, size = [], [], 0
        for frame in frames:
            length = len(json.dumps(frame, ensure_ascii=False).encode()) + 2
            if batch and (len(batch) == MAX_FRAMES or size + length > MAX_MESSAGE - 1024):
                received += self._poll({"session": self.session, "frames": batch}, 0)
                batch, size = [], 0
            batch.append(frame)
            size += length
        return received + self._poll({"session": self.session, "frames": batch}, wait)

    def close(self, code=1000):
        """A poll session needs no farewell."""

    def _poll(self, message, wait):
        frames = self.server.poll(message, wait).get("frames")
        if not isinstance(frames, list) or not all(isinstance(frame, dict) for frame in frames):
            raise fp.ProtocolError("malformed answer to a poll")
        return frames


class Keyring:
    """The key in use, and for a while the one that takes its place, in identity.json."""

    def __init__(self, path):
        self.path, self.stored, self.prefers_old = path, load(path), False

    def _identity(self, kept):
        return fp.Identity(self.stored["agentId"], kept["kid"], bytes.fromhex(kept["rootKey"]))

    def identity(self):
        """The key of the next try."""
        kept = self.stored.get("next") or {}
        return self._identity(kept if kept.get("confirmed") and not self.prefers_old else self.stored)

    def _store(self, stored):
        store(self.path, stored)
        self.stored = stored

    def opened(self, used):
        """The server proved to have this key: the other one is forgotten."""
        kept = self.stored.get("next")
        if kept and used.kid == kept["kid"]:
            old = {name: value for name, value in self.stored.items() if name != "next"}
            self._store({**old, "kid": kept["kid"], "rootKey": kept["rootKey"]})
        self.prefers_old = False

    def refused(self, used):
        """The next try is with the other key, where there is one."""
        kept = self.stored.get("next") or {}
        self.prefers_old = kept.get("confirmed", False) and used.kid == kept["kid"]

    def received(self, frame, used):
        """One step of an exchange; durable before it is answered."""
        kid, key, confirmation = (frame.get(name) for name in ("kid", "key", "confirmation"))
        if used.kid != self.stored["kid"] or not isinstance(kid, str):
            return []
        if key:
            private = secrets.token_bytes(32)
            fresh, own, expected = fp.next_key(used, private, kid, key)
            self._store({**self.stored, "next": {"kid": kid, "rootKey": fresh.root.hex(), "expected": expected,
                                                 "confirmed": False}})
            return [{"type": "rekey", "kid": kid, "key": fp.b64url(fp.public_key(private)), "confirmation": own}]
        kept = self.stored.get("next") or {}
        if kept.get("kid") != kid or not secrets.compare_digest(str(confirmation), kept["expected"]):
            return [{"type": "rekey", "kid": kid}]
        self._store({**self.stored, "next": {**kept, "confirmed": True}})
        raise SessionLost("a new key")


class Journal:
    """What this agent started, said and finished, one durable file an attempt."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir(mode=0o700, exist_ok=True)
        self.entries = {}
        for path in directory.glob("*.json"):
            entry = load(path)
            if now() > parse_time(entry["expiresAt"]) + KEEP:
                path.unlink()
                continue
            self.entries[entry["commandId"], entry["epoch"]] = entry

    def save(self, entry):
        """Make an attempt's entry durable."""
        store(self.directory / f"{entry['commandId']}.{entry['epoch']}.json", entry)
        self.entries[entry["commandId"], entry["epoch"]] = entry

    def started(self):
        """The attempts that were started and whose result is not yet acknowledged."""
        return [entry for entry in self.entries.values() if "startedAt" in entry and not entry["done"]]

    def highest(self, command_id):
        """The highest epoch seen of a command."""
        return max((epoch for command, epoch in self.entries if command == command_id), default=0)


class Agent:
    """Obeys the server's frames, whatever carries them."""

    def __init__(self, state, facts, keyring):
        self.journal, self.keyring, self.used = Journal(state / "journal"), keyring, None
        self.ticket_file = state / "ticket.json"
        self.counter_file, self.sent_at = state / "facts.json", {}
        self.facts = facts
        self.revision = (load(self.counter_file) or {"revision": 0})["revision"]
        for entry in self.journal.started():
            if not entry["result"]:
                self.finish(entry, "interrupted", "the agent stopped before the command ended")

    def hello(self):
        """The frame that opens a session."""
        names = ("commandId", "epoch", "startedAt")
        attempts = [{name: entry[name] for name in names} for entry in self.journal.started()]
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return {"type": "hello", "protocol": 1, "agentVersion": VERSION, "bootId": boot_id,
                "executors": [EXECUTOR], "attempts": attempts,
                "ticket": (load(self.ticket_file) or {"ticket": ""})["ticket"]}

    def begin(self, welcome):
        """Take over the clock and the fact counter of a new session."""
        if welcome.get("protocol") != 1:
            raise fp.ProtocolError("another protocol version")
        self.server_time, self.welcomed = parse_time(welcome["time"]), time.monotonic()
        self.sent_at, self.pinged = {}, time.monotonic()
        self.revision = max(self.revision, int(welcome["factRevision"]))
        for fact in self.facts:
            self.revision += 1
            fact["revision"] = self.revision
        if self.facts:
            store(self.counter_file, {"revision": self.revision})

    def opening_frames(self):
        """What every session starts with: the facts that were not acknowledged."""
        return [{"type": "facts", "items": self.facts}] if self.facts else []

    def server_now(self):
        """The server's clock, counted on from `welcome`."""
        return self.server_time + timedelta(seconds=time.monotonic() - self.welcomed)

    def handle(self, frame):
        """Obey one frame and give the frames that answer it."""
        handler = {"ping": self.on_ping, "offer": self.on_offer, "ack": self.on_ack, "cancel": self.on_cancel,
                   "ticket": self.on_ticket, "rekey": lambda frame: self.keyring.received(frame, self.used)}
        return handler.get(frame.get("type"), lambda _: [])(frame)

    def on_ticket(self, frame):
        """Keep the newest ticket, durably before it is confirmed."""
        store(self.ticket_file, {"ticket": str(frame["ticket"])})
        return [{"type": "ticket", "ticket": frame["ticket"]}]

    def on_ping(self, _):
        """A ping is answered at once."""
        return [{"type": "pong"}]

    def on_offer(self, offer):
        """Answer an offer with exactly one frame, and start only what never started."""
        key = attempt_of(offer)
        entry = self.journal.entries.get(key)
        if entry and "startedAt" in entry:
            return [self.result_frame(entry) if is_delivered(entry) else self.accept_frame(entry)]
        refusal = self.refusal(offer, entry)
        if refusal:
            return [{"type": "reject", **name(key), "kind": refusal[0], "reason": refusal[1]}]
        entry = {**name(key), "startedAt": iso(now()), "expiresAt": iso(parse_time(offer["expiresAt"])),
                 "output": f"$ {offer['plugin']}.{offer['command']}\n", "acked": 0, "result": None, "done": False}
        self.journal.save(entry)
        return [self.accept_frame(entry)]

    def refusal(self, offer, entry):
        """Why an offer cannot be accepted, as (kind, reason), or None."""
        if not all(isinstance(offer[member], str) for member in ("plugin", "command")):
            raise fp.ProtocolError("malformed offer")
        if self.journal.highest(offer["commandId"]) > offer["epoch"]:
            return "stale", "a later attempt is known"
        if entry:
            return "cancelled", "it was cancelled before it was offered"
        if self.server_now() > parse_time(offer["notAfter"]):
            return "expired", "the offer came too late"
        if offer["plugin"] != EXECUTOR["id"]:
            return "unavailable", "no such executor"
        if offer.get("precondition") is not None:
            return "precondition", "this agent knows no preconditions"
        return None

    def on_cancel(self, cancel):
        """Remember a cancel that came first, and repeat the result of what has ended."""
        key = attempt_of(cancel)
        entry = self.journal.entries.get(key)
        if not entry:
            self.journal.save({**name(key), "expiresAt": iso(now()), "done": True})
        return [self.result_frame(entry)] if entry and "startedAt" in entry and is_delivered(entry) else []

    def on_ack(self, ack):
        """Drop what the server says is durable."""
        if "facts" in ack:
            self.facts = [fact for fact in self.facts if fact["revision"] > ack["facts"]]
        entry = self.journal.entries.get(attempt_of(ack)) if "commandId" in ack else None
        if not entry or "startedAt" not in entry:
            return []
        if ack.get("result") is True and entry["result"]:
            entry["done"] = True
        offset = ack.get("output")
        if isinstance(offset, int) and 0 <= offset <= len(entry["output"].encode()):
            entry["acked"] = offset
            self.sent_at.pop(attempt_of(ack), None)
        self.journal.save(entry)
        return []

    def due(self):
        """Run what is accepted, and give all frames that time or progress ask for."""
        frames = []
        if time.monotonic() - self.pinged >= PING:
            self.pinged = time.monotonic()
            frames.append({"type": "ping"})
        for entry in self.journal.started():
            if not entry["result"]:
                entry["output"] += "hello from python\n"
                self.finish(entry, "succeeded")
            frames += self.delivery(entry)
        return frames

    def finish(self, entry, state, reason=None):
        """Make the result of an attempt durable."""
        data = entry["output"].encode()
        output = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        result = {"state": state, "output": output, "startedAt": entry["startedAt"], "finishedAt": iso(now())}
        result.update({"reason": reason} if reason else {"exitCode": 0})
        entry["result"] = result
        self.journal.save(entry)

    def delivery(self, entry):
        """The output or result frames of an attempt that are due now."""
        key, data = attempt_of(entry), entry["output"].encode()
        overdue = time.monotonic() - self.sent_at.get(key, -math.inf) >= REPEAT
        if not overdue:
            return []
        self.sent_at[key] = time.monotonic()
        if is_delivered(entry):
            return [self.result_frame(entry)]
        return [{"type": "output", **name(key), "offset": start, "end": end, "text": data[start:end].decode()}
                for start, end in chunks(data, entry["acked"])]

    def accept_frame(self, entry):
        """Says that the start is durable."""
        return {"type": "accept", **name(attempt_of(entry)), "startedAt": entry["startedAt"]}

    def result_frame(self, entry):
        """The result of an attempt as a frame."""
        return {"type": "result", **name(attempt_of(entry)), **entry["result"]}


def attempt_of(frame):
    """The validated (commandId, epoch) of a frame or entry."""
    command, epoch = frame["commandId"], frame["epoch"]
    if not isinstance(command, str) or not COMMAND_ID.fullmatch(command) or type(epoch) is not int or epoch < 1:
        raise fp.ProtocolError("malformed attempt")
    return command, epoch


def is_delivered(entry):
    """Whether an attempt has a result that may be sent."""
    return entry["result"] and (entry["done"] or entry["acked"] == len(entry["output"].encode()))


def name(key):
    """The members that name an attempt."""
    return {"commandId": key[0], "epoch": key[1]}


def chunks(data, start):
    """The bounds of chunks that split no code point, up to 1 MiB of them."""
    limit = min(len(data), start + MAX_MESSAGE)
    while start < limit:
        end = min(limit, start + MAX_CHUNK)
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        yield start, end
        start = end


def run_session(agent, transport, until):
    """Live through one session; gives how long it lived, None where it never opened."""
    opened, code = None, 1000
    try:
        agent.used = transport.server.identity = agent.keyring.identity()
        welcome, incoming = transport.open(agent.hello())
        agent.begin(welcome)
        agent.keyring.opened(agent.used)
        opened = heard = time.monotonic()
        log(f"session {welcome['session']} over {type(transport).__name__}")
        outgoing = agent.opening_frames()
        while time.monotonic() < until:
            for frame in incoming:
                outgoing += agent.handle(frame)
            outgoing = outgoing or agent.due()
            patience = max(0, min(transport.patience, until - time.monotonic()))
            incoming, outgoing = transport.exchange(outgoing, 0 if outgoing else patience), []
            heard = time.monotonic() if incoming else heard
            if time.monotonic() - heard >= SILENCE:
                code = 4408
                raise SessionLost("silence")
    except FAILURES as error:
        log(f"session ended: {error}")
        if opened is None and isinstance(error, fp.ProtocolError):
            agent.keyring.refused(agent.used)
        code = getattr(error, "close_code", code)
    except (KeyError, TypeError, ValueError) as error:
        log(f"session ended, malformed frame: {error!r}")
        code = 4400
    transport.close(code)
    return None if opened is None else time.monotonic() - opened


def run(agent, server, poll_only, deadline):
    """Keep a session alive until the deadline, by poll where WebSocket fails for long."""
    tries, failing_since = 0, None
    while time.monotonic() < deadline:
        lived = None
        if not poll_only:
            lived = run_session(agent, WebSocketTransport(server), deadline)
            failing_since = None if lived is not None else failing_since or time.monotonic()
        if poll_only or failing_since and time.monotonic() - failing_since >= FALLBACK_AFTER:
            until = deadline if poll_only else min(deadline, time.monotonic() + POLL_FOR)
            lived = run_session(agent, PollTransport(server), until)
        tries = 1 if lived is not None and lived >= STABLE else tries + 1
        back_off(tries, deadline)


def start_enrolment(server, agent_id, psk):
    """The first step; gives what must be durable before the second."""
    secret_id, secret = fp.secret_of(psk)
    private = secrets.token_bytes(32)
    status, answer = server.enrol_step({"step": "start", "agentId": agent_id, "secretId": secret_id,
                                        "agentKey": fp.b64url(fp.public_key(private))})
    if status != 200:
        return status, answer
    identity, own, expected = fp.enrol(private, secret_id, secret, agent_id, answer)
    return status, {"agentId": agent_id, "kid": identity.kid, "rootKey": identity.root.hex(), "enrolled": False,
                    "enrolmentId": answer["enrolmentId"], "confirmation": own, "expected": expected}


def enrol_once(server, path, agent_id, psk):
    """Bring the enrolment one try further; gives the stored identity once it is confirmed."""
    pending = load(path)
    if not pending:
        status, pending = start_enrolment(server, agent_id, psk)
        if status != 200:
            return refused_enrolment(status, pending)
        store(path, pending)
    status, answer = server.enrol_step({"step": "finish", "agentId": agent_id, "enrolmentId": pending["enrolmentId"],
                                        "confirmation": pending["confirmation"]})
    if status == 410:
        path.unlink()
    if status != 200:
        return refused_enrolment(status, answer)
    if not secrets.compare_digest(str(answer.get("confirmation")).encode(), pending["expected"].encode()):
        raise fp.ProtocolError("the server does not know the secret")
    store(path, {**pending, "enrolled": True})
    return load(path)


def refused_enrolment(status, answer):
    """Give up where only an operator can help, else let the caller try again."""
    text = f"enrolment refused: {status} {answer.get('code')}: {answer.get('message')}"
    if status in (400, 403, 409) and answer.get("code") != "FLT_ENROL_WAITING":
        sys.exit(text)
    log(text)


def identity_of(server, state, agent_id, psk, deadline):
    """The stored identity, enrolled first where there is none."""
    path, tries = state / "identity.json", 0
    stored = load(path)
    if stored and stored["agentId"] != agent_id:
        sys.exit(f"this state belongs to {stored['agentId']}")
    while not (stored and stored["enrolled"]):
        try:
            stored = enrol_once(server, path, agent_id, psk)
        except (OSError, http.client.HTTPException, fp.ProtocolError) as error:
            log(f"enrolment failed: {error}")
        if not stored:
            if time.monotonic() >= deadline:
                sys.exit("not enrolled in time")
            tries += 1
            back_off(tries, deadline)
    return fp.Identity(agent_id, stored["kid"], bytes.fromhex(stored["rootKey"]))


def fact_of(text):
    """Read a fact given as plugin.fact=JSON."""
    key, _, value = text.partition("=")
    plugin, _, fact = key.partition(".")
    if not plugin or not fact:
        raise argparse.ArgumentTypeError("expected plugin.fact=JSON")
    return {"plugin": plugin, "fact": fact, "value": json.loads(value), "observedAt": iso(now())}


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True)
    parser.add_argument("--id", required=True)
    parser.add_argument("--psk", required=True)
    parser.add_argument("--state", required=True, type=Path)
    parser.add_argument("--poll", action="store_true", help="use long-poll only")
    parser.add_argument("--seconds", type=float, default=math.inf)
    parser.add_argument("--fact", action="append", type=fact_of, default=[], metavar="plugin.fact=JSON")
    options = parser.parse_args()
    if not AGENT_ID.fullmatch(options.id):
        parser.error("malformed --id")
    return options


def main():
    """Enrol where needed and serve until the time is over."""
    options = arguments()
    deadline = time.monotonic() + options.seconds
    options.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = Server(options.server)
    server.identity = identity_of(server, options.state, options.id, options.psk, deadline)
    keyring = Keyring(options.state / "identity.json")
    run(Agent(options.state, options.fact, keyring), server, options.poll, deadline)


if __name__ == "__main__":
    main()
