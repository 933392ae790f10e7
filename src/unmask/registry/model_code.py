"""The code that MLflow copies into every registered version ("models from code").

A registered version keeps its copy for ever, so it stays this short: `Unmask` must remain
importable from `unmask.registry.pyfunc`, whatever else moves in the package.
"""

from mlflow.models import set_model

from unmask.registry.pyfunc import Unmask

set_model(Unmask())
