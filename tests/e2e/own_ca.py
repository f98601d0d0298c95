"""A certificate authority of a test's own, that nobody trusts by itself.

    ca = OwnCa(directory, "127.0.0.1", "localhost")
    ca.file                      # its certificate, PEM
    ca.certificate, ca.key       # of a server at that address and of that name
    ca.wrap(http_server)         # speaks TLS from now on
    ca.issue(2)                  # another pair, good for 2 days from now on; -1: expired
"""
import pathlib
import ssl
import subprocess


class OwnCa:
    def __init__(self, directory, address, name):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.file = self.directory / "ca.pem"
        self.certificate, self.key = self.directory / "server.crt", self.directory / "server.key"
        names = self.directory / "names"
        names.write_text(f"subjectAltName=IP:{address},DNS:{name}\n")
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                     "/CN=a test's authority", "-keyout", "ca.key", "-out", "ca.pem")
        self.address = address
        self.place(*self.issue(2))

    def issue(self, days):
        """The texts of a new certificate and of its key."""
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={self.address}",
                     "-keyout", "new.key", "-out", "new.csr")
        self.openssl("x509", "-req", "-in", "new.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                     "-CAcreateserial", "-days", str(days), "-extfile", "names", "-out", "new.crt")
        return tuple((self.directory / f"new.{kind}").read_text() for kind in ("crt", "key"))

    def place(self, certificate, key):
        """Puts them where the server's are."""
        self.certificate.write_text(certificate)
        self.key.write_text(key)

    def openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.directory, check=True, capture_output=True)

    def wrap(self, server):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
