# An image from one bundle, for x86-64. `python -m serving image NAME` calls this with the labels filled in; by hand:
#
#   DOCKER_BUILDKIT=1 docker build --build-arg BUNDLE=build/house-prices --tag house-prices:3-0123456789ab .
#
# Layers go from what never changes to what changes with every version: system, packages, code, bundle. File times
# are fixed and bytecode holds none, so equal inputs give equal layers wherever they are built, and two models under
# one lock share all but the last.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS python
# Bytecode is compiled once a stage, at its end: sets in it are in hash order, and what pip or an import would write
# before holds file times.
ENV PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1

FROM python AS packages
ARG BUNDLE
# Wheels to install from instead of the index, as a pattern: build/wheelhouse/*.whl. No network is needed then.
ARG WHEELS=*.whl
COPY ${BUNDLE}/requirements.txt ${WHEELS} /wheels/
# Whoever installs from a mirror passes pip's settings as a secret; they stay out of the image.
RUN --mount=type=cache,target=/var/cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    if ls /wheels/*.whl >/dev/null 2>&1; then set -- --no-index --find-links /wheels; fi \
    && python -m venv --without-pip /opt/assay \
    && python -m pip --python /opt/assay/bin/python --cache-dir /var/cache/pip install --no-compile --no-deps \
        --only-binary :all: --require-hashes --requirement /wheels/requirements.txt "$@"
# What makes the lock whole and no server imports, 120 MB of it:
# - setuptools, which py-grpc-prometheus lists for its own build;
# - tritonclient, the client behind `mlserver infer`, and what only it wants (gevent, aiohttp and theirs);
# - ONNX Runtime's C library (the extension for Python has its own copy) and tools that convert models;
# - packages' tests and conftest.py, headers and archives to compile against, and the docs page's source maps.
RUN cd /opt/assay/lib/python3.*/site-packages \
    && python -m pip --python /opt/assay/bin/python uninstall --yes --quiet \
        setuptools tritonclient ml-dtypes geventhttpclient brotli gevent greenlet zope-event zope-interface \
        aiohttp aiohappyeyeballs aiosignal attrs frozenlist multidict propcache yarl \
    && rm -rf onnxruntime/capi/libonnxruntime.so.* \
        onnxruntime/quantization onnxruntime/tools onnxruntime/transformers onnxruntime/datasets \
    && find . -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + \
    && find . -type f \( -name conftest.py -o -regex '.*\.\(h\|hpp\|a\|pyx\|pxd\|map\)' \) -delete \
    && /opt/assay/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/assay/lib \
    && mkdir -p /layer/opt && mv /opt/assay /layer/opt \
    && find /layer -exec touch --no-dereference --date @0 {} +

FROM python AS code
WORKDIR /layer/opt/code
# .dockerignore keeps out what does not serve.
COPY registry registry
COPY serving serving
RUN python -m compileall -q -s /layer --invalidation-mode unchecked-hash . \
    && chmod -R a=rX /layer && find /layer -exec touch --date @0 {} +

FROM python AS bundle
ARG BUNDLE
COPY ${BUNDLE} /layer/opt/bundle
RUN chmod -R a=rX /layer && find /layer -exec touch --date @0 {} +

FROM python AS system
# No installer stays. The standard library gets its bytecode (Python's own image leaves it out): the root file system
# is read-only at run time, so every start would compile it again.
RUN touch /before \
    && python -m compileall -q --invalidation-mode unchecked-hash \
        "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && rm -rf /usr/local/bin/pip* /usr/bin/pip* /usr/share/python-wheels \
        /usr/lib/python3/dist-packages/* /usr/local/lib/python3.*/site-packages/* \
        /usr/lib/python3.*/ensurepip /usr/local/lib/python3.*/ensurepip \
    && find / -xdev -newer /before -exec touch --no-dereference --date @0 {} + \
    && rm /before

# One flat system layer: deleting on top of the base would keep what was deleted, and the time of it.
FROM scratch
COPY --from=system / /
COPY --from=packages /layer /
COPY --from=code /layer /
COPY --from=bundle /layer /
# One thread for BLAS and OpenMP: they would start one for each core of the machine, whatever the container may use.
ENV PATH=/opt/assay/bin:/usr/local/bin:/usr/bin:/bin PYTHONPATH=/opt/code PYTHONUNBUFFERED=1 LANG=C.UTF-8 HOME=/tmp \
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MLFLOW_DISABLE_TELEMETRY=true
ARG BASE
LABEL org.opencontainers.image.base.name=${BASE}
# Any user works: nothing is written but to /tmp.
USER 12345:0
WORKDIR /tmp
# REST, gRPC, metrics.
EXPOSE 8080 8081 8082
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-IS", "/opt/code/serving/healthcheck.py"]
# MLServer as process 1: it takes the signal itself and answers what it has accepted.
ENTRYPOINT ["python", "-m", "serving.runtime", "/opt/bundle"]
