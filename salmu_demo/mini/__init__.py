"""SALMU-Mini: the embedded miniature benchmark and its reference models, made from scratch.

Only `salmu-demo mini` needs this package; rendering the artwork needs the optional extra `mini`.
"""
