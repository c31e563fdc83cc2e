#!/bin/sh
# What `make test-services` needs besides Python, from Debian: PostgreSQL, Orthanc with DICOMweb (without its plug-in
# for GDCM, which ends the process), DCMTK and dciodvfy. Always ends well: without them the tests are skipped and say so.
wanted=""
if ! command -v initdb > /dev/null 2>&1 && ! ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1; then
    wanted="$wanted postgresql"
fi
if ! { command -v Orthanc || ls /usr/sbin/Orthanc; } > /dev/null 2>&1; then
    wanted="$wanted orthanc"
fi
ls /usr/share/orthanc/plugins/libOrthancDicomWeb.so > /dev/null 2>&1 || wanted="$wanted orthanc-dicomweb"
command -v storescu > /dev/null 2>&1 || wanted="$wanted dcmtk"
command -v dciodvfy > /dev/null 2>&1 || wanted="$wanted dicom3tools"
if [ -z "$wanted" ]; then
    exit 0
fi
if ! command -v apt-get > /dev/null 2>&1; then
    echo "Not installed:$wanted, and this system has no apt-get: install them, or their tests are skipped."
    exit 0
fi
if [ "$(id -u)" -eq 0 ]; then
    as_root=""
elif sudo -n true 2> /dev/null; then
    as_root="sudo -n"
else
    echo "Not installed:$wanted, and only root can: sudo apt-get install$wanted. Their tests are skipped."
    exit 0
fi
echo "Installing$wanted …"
log=$(mktemp)
# Lists of packages may be missing or old; a network that is not there must not be waited for long.
quick="-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20"
$as_root apt-get $quick update > "$log" 2>&1 < /dev/null
# One by one: what cannot be had must not keep the others away.
for package in $wanted; do
    if ! $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get $quick install --yes --no-install-recommends "$package" > "$log" 2>&1 < /dev/null; then
        echo "$package cannot be installed: $(grep -m 1 '^E:' "$log" || tail -n 1 "$log")"
    fi
done
rm -f "$log"
exit 0
