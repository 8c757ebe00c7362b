# Rill's server as an image. docs/how-to/serve.md says how to build and run it.
ARG BUILD_IMAGE=python:3.11
ARG BASE_IMAGE=python:3.11-slim

# The compiled parts need a C compiler; the image that runs has none.
FROM ${BUILD_IMAGE} AS build
WORKDIR /source
COPY pyproject.toml setup.py MANIFEST.in constraints.txt README.md LICENSE ./
COPY asr asr
COPY streaming streaming
COPY training training
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .
RUN python -m venv --without-pip /opt/rill \
    && python -m pip --python /opt/rill/bin/python install --no-cache-dir \
        --only-binary :all: --constraint constraints.txt "$(ls /wheels/*.whl)[serve]"
COPY packaging/health_check.py /opt/rill/
# The compiled lexicon of the bundled model, so that a start does not compile it.
WORKDIR /
RUN XDG_CACHE_HOME=/opt/rill/cache /opt/rill/bin/python -c \
        "from asr import Recognizer; Recognizer.load(threads=1)" \
    && chmod -R a+rX /opt/rill

FROM ${BASE_IMAGE}
COPY --from=build /opt/rill /opt/rill
ENV PATH=/opt/rill/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/opt/rill/cache \
    RILL_HEALTH_URL=http://127.0.0.1:8080/health
# A number, so that Kubernetes sees that it is not root. Nothing belongs to this user.
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["/opt/rill/bin/python", "/opt/rill/health_check.py"]
# Options behind the image's name are added; of an option that is given twice the last one counts.
ENTRYPOINT ["rill", "serve", "--host", "0.0.0.0", "--processes", "0"]
