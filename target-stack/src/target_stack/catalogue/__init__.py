"""Every number and switch of the stack, by name: one catalogue for all roles, one module for each part of it."""

from target_stack.catalogue.admission import admission
from target_stack.catalogue.breakers import breakers
from target_stack.catalogue.caches import caches
from target_stack.catalogue.inference import inference
from target_stack.catalogue.models import models
from target_stack.catalogue.policies import policies
from target_stack.catalogue.retrieval import retrieval
from target_stack.catalogue.switches import switches
from target_stack.setting import Setting

__all__ = ["CATALOGUE"]

_PARTS = (switches, models, retrieval, caches, policies, admission, breakers, inference)

CATALOGUE: dict[str, Setting] = {setting.name: setting for part in _PARTS for setting in part()}
