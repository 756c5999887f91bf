"""gunicorn's settings for containers in tests: the images' own, with bounds that a busy machine keeps too."""

from microservices.tests.running import BOUNDS, PATIENT_TRIES
from orders import reservations
from shared import postgres
from shared.gunicorn_conf import *  # noqa: F403 - gunicorn reads this module's names

for setting, bound in BOUNDS.items():
    setattr(postgres, setting, bound)
reservations.TRIES_SECONDS = PATIENT_TRIES
