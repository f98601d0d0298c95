"""A certificate authority of a test's own, that nobody trusts by itself.

    ca = OwnCa(directory, "127.0.0.1", "localhost")
    ca.file                      # its certificate, PEM
    ca.certificate, ca.key       # of a server at that address and of that name
    ca.wrap(http_server)         # speaks TLS from now on
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
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={address}", "-keyout",
                     "server.key", "-out", "server.csr")
        self.openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                     "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.crt")

    def openssl(self, *words):
        subprocess.run(["openssl", *words], cwd=self.directory, check=True, capture_output=True)

    def wrap(self, server):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
