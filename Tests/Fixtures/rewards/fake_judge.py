"""A judge for tests: starts an OpenAI-compatible endpoint, and runs the reward that the arguments name with its address.

    fake_judge.py PROGRAM ARGUMENT ...

The student's text decides the reply: 'score N', 'prose' (no score), 'flaky' (503 at first), 'down' (always 500), 'refuse'
(401), 'broken' (not JSON), 'slow' (later than any timeout).
"""

import json
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

asked, lock = {}, threading.Lock()


class Judge(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = re.search(r"<student>(.*)</student>", body["messages"][0]["content"], re.S)[1]
        with lock:
            asked[text] = asked.get(text, 0) + 1
        status, reply = 200, f'{{"score": {text.split()[-1]}}}'
        if self.path != "/v1/chat/completions" or self.headers["Authorization"] != "Bearer secret" or text == "refuse":
            status = 401
        elif text == "prose":
            reply = "A fine answer."
        elif text == "down":
            status = 500
        elif text.startswith("flaky") and asked[text] == 1:
            status = 503
        elif text == "slow":
            time.sleep(3)
        content = json.dumps({"choices": [{"message": {"role": "assistant", "content": reply}}]}).encode()
        if text == "broken":
            content = b"<html>"
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            pass  # the reward has gone

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}/v1"
sys.exit(subprocess.run([sys.executable, *sys.argv[1:], "--url", address]).returncode)
