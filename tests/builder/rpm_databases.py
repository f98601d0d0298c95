"""rpm_databases.py COMMAND…: runs it with $KILN_RPM, a directory of rpm's databases:

    sqlite/rpmdb.sqlite   written by rpm
    bdb/Packages          the same headers, written by Berkeley DB's db_load
    bdb-big/Packages      the same by a machine of the other byte order
    ndb/Packages.db       the same, written here as lib/backend/ndb/rpmpkg.c of rpm has it: Debian's
                          rpm does not have this form (corpus_packages/rpm_ndb is by that file itself)
    expected              "type name [epoch:]version-release architecture license vendor; " of each, by
                          name, as rpm says it of the first, and of Berkeley DB's

    hostile/*             databases of SQLite that shall not be read

The packages are built here: among them one with a large header, and enough of them for several pages
of each form.  Exits with 77 where rpm or db_load are not installed.
"""
import os
import pathlib
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import zlib

PLAIN = 260  # small packages: more than a page of slots has, and several buckets of a hash
FILES = 3000  # of the one with a large header
PACKAGE = """%package plain-{0}
Summary: without an epoch
Version: 0.1~rc{0}
Epoch: 0
BuildArch: noarch
License: {1}
%description plain-{0}
%files plain-{0}
"""
SPEC = f"""Name: alpha
Epoch: 2
Version: 1.2.3^git7
Release: 4
Summary: first
License: MIT and (GPLv2+ or ASL 2.0)
Vendor: Example Project
%description
First.
%package large
Summary: with many files
License: BSD
%description large
%install
mkdir -p %{{buildroot}}/usr/share/large
cd %{{buildroot}}/usr/share/large && seq -f %%05.0f-a-file-of-the-large-package {FILES} | xargs touch
%files
%files large
/usr/share/large
""" + "".join(PACKAGE.format(i, " AND ".join(["GPL-3.0-or-later"] * 30)) for i in range(PLAIN))
LINE = r"rpm %{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE} %{ARCH} %{LICENSE} %{VENDOR}; \n"


def run(*words, **options):
    return subprocess.run([str(w) for w in words], check=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options).stdout


def rpm(database, backend, *words):
    return run("rpm", "--dbpath", database, "--define", f"_db_backend {backend}", *words)


# ---- the three forms ----

def write_sqlite(directory):
    work = directory / "build"
    (work / "home").mkdir(parents=True)
    (work / "alpha.spec").write_text(SPEC)
    run("rpmbuild", "-bb", "--define", f"_topdir {work}", "--define", "_build_id_links none",
        work / "alpha.spec", env={**os.environ, "HOME": str(work / "home")})
    database = directory / "sqlite"
    database.mkdir()
    rpm(database, "sqlite", "--install", "--justdb", "--nodeps", "--noscripts", "--nosignature",
        "--ignorearch", "--ignoreos", *work.glob("RPMS/*/*.rpm"))
    shutil.rmtree(work)
    return database


def write_bdb(directory, packages, order):
    """By db_load, which takes a dump of keys and values: numbers are the writing machine's."""
    form = "<I" if order == 1234 else ">I"
    pairs = [(0, struct.pack(form, max(n for n, _ in packages))), *packages]
    dump = "".join(f" {struct.pack(form, key).hex()}\n {value.hex()}\n" for key, value in pairs)
    directory.mkdir()
    (directory / "dump").write_text(f"VERSION=3\nformat=bytevalue\ntype=hash\ndb_lorder={order}\n"
                                    f"db_pagesize=4096\nHEADER=END\n{dump}DATA=END\n")
    run("db5.3_load", "-f", directory / "dump", directory / "Packages")
    return directory


def write_ndb(directory, packages):
    slots_of_page, block = 4096 // 16, 16
    pages = (len(packages) + 2) // slots_of_page + 1
    slots, blobs, at = [], [], pages * 4096 // block
    for number, blob in packages:
        blocks = -(-(16 + len(blob) + 12) // block)
        head = b"BlbS" + struct.pack("<III", number, 1, len(blob))
        body = head + blob + bytes(blocks * block - 16 - len(blob) - 12)
        adler = zlib.adler32(body)
        slots.append(b"Slot" + struct.pack("<III", number, at, blocks))
        blobs.append(body + struct.pack("<II", adler, len(blob)) + b"BlbE")
        at += blocks
    free = b"Slot" + bytes(12)
    slots += [free] * (pages * slots_of_page - 2 - len(slots))
    header = b"RpmP" + struct.pack("<IIII", 0, 1, pages, len(packages) + 1) + bytes(12)
    directory.mkdir()
    (directory / "Packages.db").write_bytes(header + b"".join(slots + blobs))


# ---- what shall not be read ----

HOSTILE = {
    "view": "create view Packages as select zeroblob(100) as blob",
    "computed": "create table Packages(hnum integer primary key, blob as (zeroblob(100)));"
                "insert into Packages(hnum) values(1)",
    "virtual": "create virtual table Packages using fts5(blob);"
               "insert into Packages(blob) values('x')",
    "other": "create table Packages(hnum integer primary key, other blob)",
    "none": "create table Name(key text)",
    "huge": "create table Packages(hnum integer primary key, blob blob);"
            "insert into Packages(blob) values(zeroblob(33 << 20))",
    "number": "create table Packages(hnum integer primary key, blob blob);"
              "insert into Packages(blob) values(7), (null), ('text')",
    "many_tables": "create table Packages(hnum integer primary key, blob blob);"
                   + "".join(f"create table t{i}(a);" for i in range(2)) + "pragma writable_schema=1;"
                   "with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000)"
                   "insert into sqlite_schema select 'table', 'u' || i, 'u' || i, 1000000,"
                   "'create table u' || i || '(a)' from n",
    "many_rows": "create table Packages(hnum integer primary key, blob blob);"
                 "with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000)"
                 "insert into Packages(blob) select x'00' from n",
}


def write_hostile(directory):
    directory.mkdir()
    for name, statements in HOSTILE.items():
        db = sqlite3.connect(directory / name)
        db.executescript("pragma synchronous=off; pragma journal_mode=off;" + statements)
        db.commit()
        db.close()
    (directory / "cut").write_bytes((directory / "many_rows").read_bytes()[:4096])


def main():
    if not shutil.which("rpmbuild") or not shutil.which("db5.3_load"):
        print("rpm or db5.3-util is not installed")
        sys.exit(77)
    with tempfile.TemporaryDirectory(prefix="kiln-rpm-") as name:
        directory = pathlib.Path(name)
        database = write_sqlite(directory)
        expected = rpm(database, "sqlite", "--query", "--all", "--qf", LINE)
        with sqlite3.connect(database / "rpmdb.sqlite") as db:
            packages = list(db.execute("select hnum, blob from Packages"))
        db.close()
        bdb = write_bdb(directory / "bdb", packages, 1234)
        assert sorted(rpm(bdb, "bdb_ro", "--query", "--all", "--qf", LINE)) == sorted(expected)
        write_bdb(directory / "bdb-big", packages, 4321)
        write_ndb(directory / "ndb", packages)
        write_hostile(directory / "hostile")
        lines = sorted(expected.replace(" 0:", " ").splitlines())
        assert len(lines) == PLAIN + 2, lines
        (directory / "expected").write_text("".join(lines))
        sys.exit(subprocess.run(sys.argv[1:], env={**os.environ, "KILN_RPM": name}).returncode)


if __name__ == "__main__":
    main()
