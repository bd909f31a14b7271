"""Behaves like the agent of the first FleetUpdate: one heartbeat, then polls for commands until it is told to stop."""
import hashlib
import hmac
import json
import os
import platform
import subprocess
import sys
import time
import urllib.request

server, agent_id, psk, polls = sys.argv[1], sys.argv[2], sys.argv[3].encode(), int(sys.argv[4])


def call(method, path, body=None):
    raw = b"" if body is None else json.dumps(body).encode()
    signature = hmac.new(psk, raw if body is not None else b"{}", hashlib.sha256).hexdigest()
    headers = {"X-Agent-Id": agent_id, "X-Signature": signature, "Content-Type": "application/json"}
    request = urllib.request.Request(server + path, data=raw if body is not None else None, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def heartbeat():
    lines = subprocess.run(["apt", "list", "--upgradable"], capture_output=True, text=True).stdout.splitlines()
    kernel = os.uname()
    call("POST", "/api/heartbeat", {
        "agent_id": agent_id, "apps": [], "logs": [], "agent_version": "1.4.2",
        "os_update": {
            "pkg_manager": "apt", "upgrades": [line for line in lines if "/" in line], "status": "ok", "sudo_apt_ok": False,
            "os_version": platform.platform(), "arch": kernel.machine, "kernel": kernel.release,
            "hostname": kernel.nodename, "uptime_seconds": 4711,
        },
    })


def run(command_id, word):
    began = time.time()
    program = ["apt-get", "--simulate", "upgrade"] if word == "apt_upgrade" else ["sh", "-c", "echo checked; exit 1"]
    child = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = []
    for line in child.stdout:
        output.append(line)
        call("POST", "/api/command-chunk", {"command_id": command_id, "chunk": line})
    status = "success" if child.wait() == 0 else "error"
    call("POST", "/api/command-result", {
        "command_id": command_id, "status": status, "output": output, "duration": time.time() - began, "logs": [],
    })
    print("ran", word, hashlib.sha256("".join(output).encode()).hexdigest(), flush=True)


heartbeat()
for _ in range(polls):
    command = call("GET", f"/api/agents/{agent_id}/next-command")["command"]
    if command is not None:
        run(command["command_id"], command["command"])
    else:
        time.sleep(0.1)
