"""Runs on a host that has neither curl nor wget: fetch one file, going on where a part ends.

Arguments: a JSON file with url and headers, the part, a file for what the server says, and the
schemes that a redirection may lead to. Ends with 3 when the server refuses, 1 when it breaks off.
"""

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections, and takes no header with credentials to another server."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        """Make the next request, without our own headers if it goes elsewhere."""
        new = super().redirect_request(req, fp, code, msg, headers, newurl)
        target = urllib.parse.urlsplit(newurl)
        if target.scheme not in schemes:
            raise urllib.error.URLError(f"the redirection to {target.scheme} is refused")
        if new is not None and target[:2] != urllib.parse.urlsplit(req.full_url)[:2]:
            for name in request["headers"]:
                new.remove_header(name.capitalize())
        return new


request_file, part, head, allowed = sys.argv[1:5]
schemes = allowed.split(",")
with open(request_file) as text:
    request = json.load(text)
start = Path(part).stat().st_size if Path(part).exists() else 0
asked = urllib.request.Request(request["url"], headers=request["headers"])
if start:
    asked.add_header("Range", f"bytes={start}-")
try:
    with urllib.request.build_opener(Redirects).open(asked, timeout=60) as answer:
        Path(head).write_text(str(answer.headers))
        expected = answer.headers.get("Content-Length")
        got = 0
        with open(part, "ab" if answer.status == 206 else "wb") as out:
            while True:
                data = answer.read(1 << 18)
                if not data:
                    break
                out.write(data)
                out.flush()
                got += len(data)
        if expected is not None and got != int(expected):
            sys.exit(f"the connection broke off after {got} of {expected} bytes")
except urllib.error.HTTPError as error:
    print(error.code)
    print(f"the server answered {error.code} {error.reason}", file=sys.stderr)
    sys.exit(3)
except OSError as error:
    sys.exit(str(error))
except Exception as error:  # such as http.client.IncompleteRead, whose base is not OSError
    sys.exit(repr(error))
