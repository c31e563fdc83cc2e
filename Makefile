# The habits of this project. On a fresh machine with Python 3.11 or newer and make, `make demo` or `make test` is all.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Rewritten when what is to be installed changes.
STAMP := $(VENV)/.installed
SERVICES := $(VENV)/.installed-services
# MONAI Label needs other versions of NumPy and pydicom.
LABEL := .venv-label
LABELLED := $(LABEL)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-services label test-label bench bench-peers bench-nnunet bench-tracking screenshots check format clean label-screenshots

help:  ## Show this page
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

$(STAMP): pyproject.toml constraints.txt
	@echo "Making the environment $(VENV): PyTorch, MONAI and the rest are downloaded and installed, once. This takes minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
	@echo "The environment is there."

demo: $(STAMP)  ## The main job on a digital phantom: index, train, evaluate, infer
	@mkdir -p demo && rm -rf demo/bundle
	cd demo && ../$(BIN)/planar phantom phantom -n 60 --overwrite
	cd demo && ../$(BIN)/planar index phantom/images phantom/masks --subjects phantom/index.csv:subject --class-names lung -o datalist.json --overwrite
	cd demo && ../$(BIN)/planar train cxr_lung_segmentation --data datalist.json -o bundle max_epochs=20
	cd demo && ../$(BIN)/planar evaluate bundle --data datalist.json -o evaluation --overwrite
	cd demo && ../$(BIN)/planar infer bundle phantom/dicom -o masks --overlay --overwrite
	@echo
	@echo "Pictures: demo/masks/*_overlay.png    Scores: demo/evaluation/cases.csv"
	@echo "Runs:     $(BIN)/mlflow server --backend-store-uri sqlite:///demo/mlruns.db --port 5000, then http://127.0.0.1:5000"

# Each file in one process: its fixtures, trainings among them, are made once. Four at most, for each loads torch and MONAI.
test: $(STAMP)  ## The tests
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

test-slow: $(STAMP)  ## Tests that take long: whole trainings, the README, several processes, exports
	$(BIN)/python -m pytest -m "slow and not services and not label"

# What cannot be had is told, and its tests are skipped and say why.
test-services: $(STAMP)  ## Tests with MLflow on PostgreSQL, and with Orthanc (installed on Debian where root or sudo can)
	@test -e $(SERVICES) || ($(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,services]' \
		&& touch $(SERVICES)) || echo "The packages of planar[services] cannot be installed here."
	@sh tests/services/install.sh
	$(BIN)/python -m pytest -m services

# sam2 is a model that MONAI Label would load and does not need; it brings much along.
$(LABELLED): pyproject.toml constraints-label.txt
	@echo "Making the environment $(LABEL) for MONAI Label: downloaded and installed once. This takes minutes."
	$(PYTHON) -m venv $(LABEL)
	$(LABEL)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-label.txt --editable '.[label]' pytest pytest-timeout
	$(LABEL)/bin/python -m pip uninstall --quiet --yes sam2
	$(LABEL)/bin/python -m pipeline.label_app.torchvision_mend
	@touch $@

STUDIES ?= label-phantom/images
BUNDLE ?= cxr_lung_segmentation
label: $(LABELLED)  ## A MONAI Label server on the phantom's films (STUDIES, BUNDLE), for 3D Slicer and OHIF
	@test -d $(STUDIES) || $(LABEL)/bin/planar phantom label-phantom -n 12
	$(LABEL)/bin/planar label start --studies $(STUDIES) --bundle $(BUNDLE)

# Where the packages cannot be had, the tests are skipped and say why.
test-label:  ## Tests with the real MONAI Label server, and the parts that its environment runs too
	@$(MAKE) --no-print-directory $(LABELLED) || echo "MONAI Label's packages cannot be installed here: its tests are skipped."
	@test ! -e $(LABELLED) || $(LABEL)/bin/python -m pytest -m label tests/label_app
	@test ! -e $(LABELLED) || $(LABEL)/bin/python -m pytest -m "not services and not label and not slow" tests/readers tests/dicom_seg tests/tasks/infer tests/test_bundle.py tests/tracking

# Peers have environments of their own (make bench-peers); those that are there take part. On a GPU without a network:
# benchmarks/gpu.sh.
NNUNET ?= .nnunet-env
LIGHTNING ?= .lightning-env
INFERENCE ?= .inference-env
SPEED ?= speed
# $(call peer,NAME,ENVIRONMENT), where that is there
peer = $(if $(wildcard $(2)/bin/python),--peer $(1) $(2)/bin/python)
PEERS ?= $(call peer,nnunet,$(NNUNET)) $(call peer,lightning,$(LIGHTNING)) $(call peer,lungmask,$(INFERENCE))
bench: $(STAMP)  ## Speed of training, inference and start beside peers (half an hour on two cores)
	$(BIN)/python -m benchmarks.speed --out $(SPEED) $(PEERS)

bench-peers:  ## The environments of nnU-Net, of Lightning and of lungmask, for make bench and make bench-nnunet
	test -x $(NNUNET)/bin/nnUNetv2_train || ($(PYTHON) -m venv $(NNUNET) && $(NNUNET)/bin/pip install --quiet -r benchmarks/speed/peers/nnunet.txt)
	test -x $(LIGHTNING)/bin/fabric || ($(PYTHON) -m venv $(LIGHTNING) && $(LIGHTNING)/bin/pip install --quiet -r benchmarks/speed/peers/lightning.txt)
	test -x $(INFERENCE)/bin/lungmask || ($(PYTHON) -m venv $(INFERENCE) && $(INFERENCE)/bin/pip install --quiet -r benchmarks/speed/peers/inference.txt)

# DATA, TASK and OUT say what is compared.
MINUTES ?= 10
bench-nnunet: $(STAMP)  ## Planar and nnU-Net v2 2D on DATA (TASK, OUT) for MINUTES each
	test -x $(NNUNET)/bin/nnUNetv2_train || ($(PYTHON) -m venv $(NNUNET) && $(NNUNET)/bin/pip install --quiet -r benchmarks/speed/peers/nnunet.txt)
	$(BIN)/python -m benchmarks.nnunet --data $(DATA) --task $(TASK) --minutes $(MINUTES) --out $(OUT) --nnunet-python $(NNUNET)/bin/python

OVERHEAD ?= overhead
bench-tracking: $(STAMP)  ## What the MLflow record of a training costs, on DATA
	$(BIN)/python -m benchmarks.tracking --data $(DATA) --out $(OVERHEAD)

screenshots: $(STAMP)  ## The pictures in docs/images, of a short training on DATA (needs chromium)
	$(BIN)/python tests/services/screenshots.py --data $(DATA)

label-screenshots: $(LABELLED)  ## The pictures of labelling, with a bundle CT for CT slices (needs chromium, Orthanc, PLANAR_DATA)
	$(LABEL)/bin/python tests/label_app/label_screenshots.py --ct $(CT)

check: $(STAMP)  ## Format, lint, types, and the direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)  ## Format and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## Remove the environment and what was built
	rm -rf $(VENV) $(LABEL) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
