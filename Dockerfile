# The app in a container: docker compose up, or
#   docker build -t salmu-demo . && docker run -p 7860:7860 -v salmu-data:/data salmu-demo
FROM python:3.12-slim

# Where torch comes from; for NVIDIA GPUs https://download.pytorch.org/whl/cu128, or another version of CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

# Nothing of the app needs root. A Space runs it as this user, too.
RUN useradd --create-home --uid 1000 user && mkdir /data && chown user /data
WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --extra-index-url "$TORCH_INDEX" -r requirements.txt
COPY app.py README.md ./
COPY assets ./assets
COPY salmu_demo ./salmu_demo

USER user
ENV GRADIO_SERVER_NAME=0.0.0.0 PORT=7860 HF_HOME=/data/hub SALMU_CACHE_DIR=/data/cache SALMU_RUNS_DIR=/data/runs
VOLUME /data
EXPOSE 7860
# What is imported when the app starts takes a while on a small machine.
HEALTHCHECK --interval=60s --timeout=10s --start-period=120s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/', timeout=9)"]
CMD ["python", "app.py"]
