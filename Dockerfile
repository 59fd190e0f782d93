# The base is pinned by digest, the same as in metadata.yaml.
ARG BASE_IMAGE=docker.io/airbyte/python-connector-base:4.1.0@sha256:1d1aa21d34e851df4e8a87b391c27724c06e2597608e7161f4d167be853bd7b6

FROM ${BASE_IMAGE} AS builder
WORKDIR /build
# An environment of its own: the packages of the base image neither satisfy nor shadow what the connector needs.
RUN python -m venv --without-pip /opt/connector
# The dependencies are a layer of their own, which a change of the code leaves in the build's cache.
COPY pyproject.toml constraints.txt ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
        > dependencies.txt \
    && pip --python /opt/connector/bin/python install --no-cache-dir --no-compile --constraint constraints.txt \
        --requirement dependencies.txt
# What the CDK asks for and none of the four commands imports: more than half of the size. A test runs them without it.
# The rest is compiled to .pyc here: on a read-only file system it would be done anew at every start.
RUN pip --python /opt/connector/bin/python uninstall --yes \
        dateparser google-api-core google-auth google-cloud-secret-manager googleapis-common-protos \
        grpc-google-iam-v1 grpcio grpcio-status joblib markdown-it-py mdurl nltk numpy pandas proto-plus protobuf \
        pyasn1 pyasn1_modules pygments rapidfuzz regex rich rich-click setuptools tqdm tzlocal unidecode \
    && /opt/connector/bin/python -m compileall -qq /opt/connector
COPY README.md LICENSE ./
COPY source_backlog ./source_backlog
COPY models ./models
RUN pip --python /opt/connector/bin/python install --no-cache-dir --no-deps .

FROM ${BASE_IMAGE}
LABEL io.airbyte.name="airbyte/source-backlog" \
      io.airbyte.version="0.2.0" \
      org.opencontainers.image.title="source-backlog" \
      org.opencontainers.image.licenses="MIT"
COPY --from=builder /opt/connector /opt/connector
ENV PATH="/opt/connector/bin:${PATH}" \
    AIRBYTE_ENTRYPOINT="/opt/connector/bin/source-backlog"
WORKDIR /airbyte/integration_code
# By number, so that an orchestrator can see that it is not root; it is the user `airbyte` of the base image.
USER 1000:1000
ENTRYPOINT ["/opt/connector/bin/source-backlog"]
