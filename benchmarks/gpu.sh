#!/bin/sh
# The benchmark of speed on a machine with a GPU that has torch and no network, in under eight minutes.
#
#   sh benchmarks/gpu.sh pack            where there is a network: what the machine lacks goes to .gpu (git ignores it)
#   sh benchmarks/gpu.sh run OUT [...]   there, in the root of a copy of this checkout with its .gpu; OUT gets
#                                        speed.md and speed.json; what follows goes to python -m benchmarks.speed
#
# SimpleITK is left out: its wheel is larger than all others together, and nothing of PNG files needs it. A module of
# its name that has nothing in it lets Planar and nnU-Net be imported.
set -eu

PYTHON=${PYTHON:-python3}
HERE=.gpu
# What runs there, if it is not as here: version of Python, and its platforms.
TARGET=${TARGET:-3.12}
PLATFORMS="manylinux_2_28_x86_64 manylinux_2_27_x86_64 manylinux_2_17_x86_64 manylinux2014_x86_64 manylinux1_x86_64"
NEEDED="monai==1.6.1 pytorch-ignite==0.5.5 fire termcolor pydicom==3.0.2 nibabel==5.4.2 ruamel.yaml"
NNUNET="nnunetv2==2.8.1 batchgenerators batchgeneratorsv2 dynamic-network-architectures acvl-utils blosc2 ndindex
 numexpr httpx httpcore connected-components-3d einops graphviz yacs future"
LIGHTNING="segmentation-models-pytorch albumentations==2.0.8 albucore==0.0.24 simsimd stringzilla pydantic==2.14.3
 pydantic-core==2.50.4 annotated-types
 typing-inspection"
# nnU-Net imports distutils, which Python 3.12 has from setuptools alone.
NNUNET="$NNUNET setuptools"

pack() {
    mkdir -p $HERE/wheels
    for platform in $PLATFORMS; do set -- "$@" --platform "$platform"; done
    for package in $NEEDED $NNUNET $LIGHTNING; do
        "$PYTHON" -m pip download --quiet --no-deps --only-binary=:all: --python-version "$TARGET" --implementation cp \
            "$@" --dest $HERE/wheels "$package" \
            || "$PYTHON" -m pip wheel --quiet --no-deps --wheel-dir $HERE/wheels "$package" \
            || echo "$package cannot be had: the peer that needs it will be left out."
    done
    du -sh $HERE
}

run() {
    out=$1
    shift
    # An environment on top of the one that has torch, so that nnU-Net's commands are there too.
    site=$(mktemp -d)
    "$PYTHON" -m venv --without-pip "$site"
    "$PYTHON" -c 'import site; print("\n".join(site.getsitepackages()))' > "$(echo "$site"/lib/python*/site-packages)/beneath.pth"
    "$PYTHON" -m pip --python "$site/bin/python" install --quiet --no-index --no-deps --no-compile --no-cache-dir \
        $HERE/wheels/*.whl
    printf 'def __getattr__(name):\n    return type(name, (), {})\n' > "$(echo "$site"/lib/python*/site-packages)/SimpleITK.py"
    work=$(mktemp -d)
    status=0
    "$site/bin/python" -m benchmarks.speed --out "$work" "$@" || status=$?
    mkdir -p "$out"
    cp "$work"/speed.* "$out" 2>/dev/null || true
    [ ! -d "$work/logs" ] || tar -C "$work" -czf "$out/logs.tar.gz" logs
    return $status
}

case ${1:-} in
    pack) shift; pack "$@" ;;
    run) shift; run "$@" ;;
    *) echo "usage: sh benchmarks/gpu.sh pack | run OUT [options of python -m benchmarks.speed]" >&2; exit 2 ;;
esac
