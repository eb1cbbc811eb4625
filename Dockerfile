# One image for every role; which one it plays is its command. It carries neither PostgreSQL nor a Temporal server.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /source
COPY requirements/ requirements/
RUN python -m venv /opt/referrals \
 && /opt/referrals/bin/pip install --require-hashes -r requirements/runtime.txt \
 && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md ./
COPY referral_rewards/ referral_rewards/
COPY workflows/ workflows/
COPY activities/ activities/
COPY models/ models/
COPY worker/ worker/
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/referrals/bin/pip install --no-deps dist/*.whl

FROM python:3.13-slim AS application
COPY --from=build /opt/referrals /opt/referrals
ENV PATH=/opt/referrals/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 REFERRALS_LOG_FORMAT=json
# Open to others: docker-compose.yml runs it as whoever made the keys, and each start looks into the folder it is in.
RUN useradd --uid 10001 --create-home referrals && chmod 755 /home/referrals
USER 10001
WORKDIR /home/referrals
EXPOSE 8700
CMD ["referrals", "--help"]

# Providers that pay nobody, to try things out. The wheel leaves them out.
FROM application AS sandboxes
COPY referral_rewards/local/ /opt/referrals/lib/python3.13/site-packages/referral_rewards/local/
CMD ["python", "-m", "referral_rewards.local.sandbox", "--help"]

# The last one is what is built where no target is named: the image of a cluster.
FROM application
