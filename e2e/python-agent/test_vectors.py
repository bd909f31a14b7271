"""Reproduces every vector of docs/reference/protocol-vectors.json."""

import json
import unittest
from pathlib import Path

import fleet_protocol as fp

VECTORS = json.loads(
    (Path(__file__).resolve().parents[2] / "docs/reference/protocol-vectors.json").read_text("utf-8")
)
IDENTITY = fp.Identity(VECTORS["agentId"], VECTORS["kid"], bytes.fromhex(VECTORS["rootKey"]))


class KeyVectors(unittest.TestCase):
    def test_derived_keys(self):
        for label, expected in VECTORS["derivedKeys"].items():
            self.assertEqual(IDENTITY.key(label).hex(), expected, label)


class RequestVectors(unittest.TestCase):
    def check(self, name):
        vector = VECTORS[name]
        self.assertEqual(vector["contentType"], "application/json")
        headers = fp.sign_request(
            IDENTITY, vector["method"], vector["authority"], vector["path"], vector["query"],
            vector["body"].encode(), vector["created"], vector["nonce"],
        )
        self.assertEqual(headers, {"content-type": "application/json", **vector["headers"]})

    def test_with_body(self):
        self.check("signedRequest")

    def test_without_body(self):
        self.check("signedRequestWithoutBody")


class AnswerVectors(unittest.TestCase):
    def verify(self, **changes):
        vector = {**VECTORS["signedAnswer"], **changes}
        fp.verify_answer(
            IDENTITY, vector["status"], vector["headers"], vector["body"].encode(), vector["requestSignature"]
        )

    def test_right_answer(self):
        self.assertIn(f"created={VECTORS['signedAnswer']['created']};",
                      VECTORS["signedAnswer"]["headers"]["signature-input"])
        self.verify()

    def test_tampered_answers(self):
        changes = [{"status": 201}, {"body": "{}"}, {"headers": {}},
                   {"requestSignature": VECTORS["signedRequestWithoutBody"]["headers"]["signature"]}]
        for name in VECTORS["signedAnswer"]["headers"]:
            headers = dict(VECTORS["signedAnswer"]["headers"])
            headers[name] = headers[name].replace("=", "=x", 1)
            changes.append({"headers": headers})
        for change in changes:
            with self.assertRaises(fp.ProtocolError):
                self.verify(**change)


class SessionVectors(unittest.TestCase):
    vector = VECTORS["session"]

    def session(self):
        return fp.Session(IDENTITY, self.vector["session"], self.vector["agentNonce"], self.vector["serverNonce"])

    def test_keys(self):
        keys = self.session().keys
        self.assertEqual({way: key.hex() for way, key in keys.items()}, self.vector["keys"])

    def test_frames_both_ways(self):
        sealing, opening = self.session(), self.session()
        for frame in self.vector["frames"]:
            self.assertEqual(sealing.seal(frame["payload"], frame["direction"]), frame["wire"])
            self.assertEqual(sealing.sequence[frame["direction"]], frame["sequence"])
            self.assertEqual(opening.open(frame["wire"], frame["direction"]), frame["payload"])

    def test_welcome_opens_the_session(self):
        session, frame = fp.open_welcome(IDENTITY, self.vector["agentNonce"], self.vector["frames"][0]["wire"])
        self.assertEqual({way: key.hex() for way, key in session.keys.items()}, self.vector["keys"])
        self.assertEqual(frame, json.loads(self.vector["frames"][0]["payload"]))

    def test_replay_and_tampering_are_refused(self):
        wire = self.vector["frames"][0]["wire"]
        session = self.session()
        session.open(wire)
        for message in (wire, wire.replace("1 ", "2 ", 1)):
            with self.assertRaises(fp.ProtocolError) as caught:
                session.open(message)
            self.assertEqual(caught.exception.close_code, 4401)


class EnrolmentVectors(unittest.TestCase):
    vector = VECTORS["enrolment"]

    def test_public_keys(self):
        for side in ("agent", "server"):
            private = bytes.fromhex(self.vector[f"{side}PrivateKey"])
            self.assertEqual(fp.b64url(fp.public_key(private)), self.vector["transcript"][f"{side}Key"])

    def test_transcript_hash(self):
        names = ("agentId", "secretId", "enrolmentId", "kid", "agentKey", "serverKey")
        digest = fp.transcript_hash(*(self.vector["transcript"][name] for name in names))
        self.assertEqual(digest.hex(), self.vector["transcriptHash"])

    def test_root_key_and_confirmations(self):
        transcript = self.vector["transcript"]
        identity, own, expected = fp.enrol(
            bytes.fromhex(self.vector["agentPrivateKey"]), transcript["secretId"],
            self.vector["secret"].encode(), transcript["agentId"], transcript,
        )
        self.assertEqual(identity.root.hex(), self.vector["rootKey"])
        self.assertEqual(own, self.vector["agentConfirmation"])
        self.assertEqual(expected, self.vector["serverConfirmation"])

    def test_zero_result_is_refused(self):
        with self.assertRaises(fp.ProtocolError):
            fp.x25519(bytes(range(32)), bytes(32))


class RekeyVectors(unittest.TestCase):
    vector = VECTORS["rekey"]

    def test_next_key_and_confirmations(self):
        transcript = self.vector["transcript"]
        old = fp.Identity(VECTORS["agentId"], transcript["oldKid"], bytes.fromhex(VECTORS["rootKey"]))
        fresh, own, expected = fp.next_key(
            old, bytes.fromhex(self.vector["agentPrivateKey"]), transcript["kid"], transcript["serverKey"])
        self.assertEqual(fresh.root.hex(), self.vector["rootKey"])
        self.assertEqual(own, self.vector["agentConfirmation"])
        self.assertEqual(expected, self.vector["serverConfirmation"])


if __name__ == "__main__":
    unittest.main()
