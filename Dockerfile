# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
# requirements-cluster.lock has Dask besides (docker-compose.cluster.yml).
ARG LOCK=requirements.lock
WORKDIR /src
RUN python -m venv /opt/listener
COPY ${LOCK} ./
RUN /opt/listener/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r ${LOCK}
COPY pyproject.toml README.md LICENSE ./
COPY config ./config
COPY listener ./listener
COPY connectors ./connectors
COPY storage ./storage
COPY jobs ./jobs
RUN /opt/listener/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home listener
COPY --from=build /opt/listener /opt/listener
ENV PATH=/opt/listener/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
WORKDIR /etc/listener
STOPSIGNAL SIGTERM
ENTRYPOINT ["listener", "--config", "/etc/listener/listener.toml"]
CMD ["run"]
