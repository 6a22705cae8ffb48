# A machine on which `sknic` runs: docker build -t sknic . && docker run --rm -v "$PWD:/work" sknic demo --out demo
# With a GPU: docker build --build-arg TORCH=torch -t sknic . && docker run --gpus all ...
FROM python:3.11-slim

# What torch is installed as. The default is the pin of constraints.txt, which is the CPU build where the index has one.
ARG TORCH=""

WORKDIR /src
COPY . .
RUN if [ -n "$TORCH" ]; then pip install --no-cache-dir "$TORCH" .[viewer]; \
    else pip install --no-cache-dir -c constraints.txt .[viewer]; fi \
    && rm -rf /src/*

WORKDIR /work
ENTRYPOINT ["sknic"]
CMD ["--help"]
