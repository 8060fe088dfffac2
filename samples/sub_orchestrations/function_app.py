"""Sub-orchestrations: a roll-out is made of sites, a site of devices, and each is an orchestration of its own.

The functions stand in blueprints, one for the roll-outs and one for the devices: an app that grows is put together like
this.
"""

from __future__ import annotations

import perdure_functions as df
from devices import devices
from rollouts import rollouts

app = df.DFApp()
app.register_functions(rollouts)
app.register_functions(devices)
