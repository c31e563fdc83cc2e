"""What is an archive's address, and what no message may repeat."""

from __future__ import annotations

import pytest

from pipeline.dicomweb import Address
from pipeline.errors import InvalidOption


@pytest.mark.parametrize(
    ("text", "url", "shown"),
    [
        ("dicomweb://pacs:8042/dicom-web", "http://pacs:8042/dicom-web", "dicomweb://pacs:8042/dicom-web"),
        ("dicomweb://pacs/dicom-web/", "http://pacs/dicom-web", "dicomweb://pacs/dicom-web"),
        ("dicomwebs://pacs.example.org/a/b", "https://pacs.example.org/a/b", "dicomwebs://pacs.example.org/a/b"),
        ("https://10.0.0.7:8443/rs", "https://10.0.0.7:8443/rs", "dicomwebs://10.0.0.7:8443/rs"),
        ("http://localhost:80", "http://localhost:80", "dicomweb://localhost:80"),
    ],
)
def test_an_address_is_http_or_tls_by_its_scheme(text: str, url: str, shown: str) -> None:
    address = Address.parse(text)
    assert (address.url, str(address)) == (url, shown)


@pytest.mark.parametrize(
    "text",
    [
        "dicomweb://user:s3cret@pacs/dicom-web",
        "dicomweb://user:s3/cret@pacs/dicom-web",
        "https://s3cret@pacs/",
        "dicomweb://user:s3cret/dicom-web",
        "dicomweb://pacs/dicom-web?password=s3cret",
        "dicomweb://pacs/dicom-web#s3cret",
        "ftp://pacs/s3cret",
        "dicomweb:///s3cret",
        "dicomweb://pacs:0/s3cret",
        "dicomweb://pacs/s3cret path",
        "s3cret",
        "",
    ],
)
def test_what_is_no_address_is_refused_in_a_line_that_does_not_repeat_it(text: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        Address.parse(text)
    told = str(caught.value)
    assert "s3" not in told
    assert "\n" not in told


def test_an_address_on_this_machine_is_known() -> None:
    assert Address.parse("dicomweb://127.0.0.1:8042/x").is_loopback
    assert Address.parse("dicomweb://localhost/x").is_loopback
    assert not Address.parse("dicomweb://pacs/x").is_loopback
