# Lets role system install what the recipe asks for and role python prove and record the
# environments, and opens to any user what is not.
set -eu
umask 022
unset PIP_CONSTRAINT
export PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
for wheel in /wheels/*.whl; do
  [ ! -e "$wheel" ] || export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
done
cd /opt/rolecall/project
# Whatever the recipe, a job may have to fetch a model from a hub, which needs the tools, and a pod
# may have to speak OpenAI's API, which needs the front.
./inv system python --set rolecall.home=/tmp/rolecall --set model.source=hf://any/model \
  --set server.openai=true --set server.openai_kind=front
rm -rf /tmp/rolecall .rolecall /var/lib/apt/lists/*
# What the controller remembers belongs to one container: others may use the volume too.
ln -s /tmp .rolecall
# By content, not by time: sources come with the time of the build.
.venv/bin/python -m compileall -q --invalidation-mode unchecked-hash rolecall roles tasks.py
# Only these: a file whose mode is set again is in the image a second time.
find /opt/rolecall ! -type l ! -perm -004 -exec chmod go+rX {} +
mkdir -p /data
chmod 1777 /data
