"""Sends bytes to a server, in a way that clients should not, and reads what comes back.

    send(port, request, patience)   the answers, as far as they came: [(status, header text)]

`Wrong` is raised for what is no answer of HTTP/1.1, and when the server neither answers a request
that is whole nor closes."""
import re
import socket
import struct
import time

IDLE_SECONDS = 0.15  # that nothing comes, before a request is taken for one that is not whole


class Wrong(AssertionError):
    pass


def send(port, request, patience):
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as s:
        data = request.data
        try:
            match request.way:
                case "pieces":
                    for at in range(0, min(len(data), 400), 37):
                        s.sendall(data[at:at + 37])
                    s.sendall(data[min(len(data), 407 - 407 % 37):])
                case "slow":
                    for at in range(0, min(len(data), 60)):
                        s.sendall(data[at:at + 1])
                        time.sleep(0.001)
                    s.sendall(data[60:])
                case "cut":
                    s.sendall(data[:len(data) // 2])
                    return []
                case "reset":
                    s.sendall(data)
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return []
                case _:
                    s.sendall(data)
            if request.way == "half-closed":
                s.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused early, and perhaps closed: what it said may still be there
        return answers(s, request, patience)


def answers(s, request, patience):
    """Until it closes, or nothing comes any more."""
    whole, end = b"", time.monotonic() + patience
    while time.monotonic() < end and len(whole) < 1 << 20:
        s.settimeout(patience if request.answered and not whole else IDLE_SECONDS)
        try:
            piece = s.recv(65536)
        except TimeoutError:
            break
        except ConnectionResetError:
            break
        if not piece:
            break
        whole += piece
    else:
        if b"build-logs" not in request.data and len(whole) < 1 << 20:
            raise Wrong(f"answers go on for {patience} s")
    return parse(whole, request)


STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})( [^\r\n]*)?\r\n")


def parse(whole, request):
    """The first answer strictly, the heads of those behind it as far as they can be told."""
    if not whole and request.answered:
        raise Wrong("no answer")
    if not whole:
        return []
    if not STATUS.match(whole):
        raise Wrong(f"no answer of HTTP: {whole[:200]!r}")
    if b"\r\n\r\n" not in whole:
        raise Wrong(f"half a head: {whole[:200]!r}")
    found = []
    for match in STATUS.finditer(whole):
        head = whole[match.start():].partition(b"\r\n\r\n")[0]
        found.append((int(match[1]), head.decode("latin1")))
    return found
