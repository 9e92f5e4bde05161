"""How many replicas a deployment should have, from how many messages wait for it. A policy of Ray Serve's autoscaling.

In a Serve config: `autoscaling_config: {min_replicas: 1, max_replicas: 8, policy: {policy_function: services.scaling:by_lag}}`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray.serve.config import AutoscalingContext

TURNS = 2  # messages a slot may find waiting before another replica is worth its start
QUIET_S = 120.0  # with less to do before a replica goes


def by_lag(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """(replicas, state): up at once, down by one only after QUIET_S in which fewer would have done."""
    wanted = _wanted(context)
    now, running = float(context.current_time or 0.0), context.target_num_replicas
    if wanted >= running:
        return wanted, {}
    since = float(context.policy_state.get("quiet_since", now))
    if now - since < QUIET_S:
        return running, {"quiet_since": since}
    return max(wanted, running - 1), {"quiet_since": now}


def _wanted(context: AutoscalingContext) -> int:
    told = context.aggregated_metrics or {}
    lag = max(told.get("lag", {}).values(), default=0.0)  # every replica tells the lag of them all
    slots = max(told.get("slots", {}).values(), default=1.0)
    wanted = math.ceil(lag / (TURNS * slots))
    return min(max(wanted, context.capacity_adjusted_min_replicas), context.capacity_adjusted_max_replicas)
