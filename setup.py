"""What `pyproject.toml` cannot say: the recorded captures of `pcaps/` are installed inside the package."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["handshake_inspect*"]), "handshake_inspect.pcaps"],
    package_dir={"handshake_inspect.pcaps": "pcaps"},
    package_data={
        "handshake_inspect": [
            "py.typed",
            "lab/recorded/*",
            "explain/pages/*.md",
            "findings/*.tsv",
            "views/pictures/*.css",
            "views/page/*/*.css",
            "views/page/*/*.html",
            "views/page/*/*.js",
        ],
        "handshake_inspect.pcaps": ["*.pcap"],
    },
)
