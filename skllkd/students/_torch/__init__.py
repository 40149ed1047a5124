"""The networks of the students; the only package that imports torch at once.

Students reach its modules through `skllkd.students.lazy_torch`.
"""

from skllkd.students._torch import dropout as dropout
from skllkd.students._torch import encoder as encoder
from skllkd.students._torch import heads as heads
from skllkd.students._torch import inference as inference
from skllkd.students._torch import objective as objective
from skllkd.students._torch import onnx as onnx
from skllkd.students._torch import pools as pools
from skllkd.students._torch import pretrained as pretrained
from skllkd.students._torch import trainer as trainer
