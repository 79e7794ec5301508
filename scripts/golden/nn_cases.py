"""The layers that scripts/golden/nn.py writes down: name, arguments, inputs, options."""

CASES = []


def case(name, args=(), inputs=((2, 4, 6),), training=True, call=None, **options):
    """An input is a shape, { dtype, values }, or a list of inputs; `call`: options of the call."""
    CASES.append(dict(name=name, args=list(args), inputs=list(inputs), options=options, training=training, call=call or {}))


def integers(*values, dtype="int64"):
    return {"dtype": dtype, "values": list(values)}


for name in "ReLU ReLU6 SELU SiLU Mish Sigmoid LogSigmoid Tanh Tanhshrink Softsign Hardswish Hardsigmoid GELU LeakyReLU ELU CELU Softplus Hardtanh Hardshrink Softshrink GLU PReLU Identity".split():
    case(name, inputs=[(2, 6)])
case("GELU", inputs=[(2, 6)], approximate="tanh")
case("LeakyReLU", inputs=[(2, 6)], negative_slope=0.2)
case("ELU", inputs=[(2, 6)], alpha=1.5)
case("CELU", inputs=[(2, 6)], alpha=1.5)
case("Softplus", inputs=[(2, 6)], beta=2.0, threshold=1.0)
case("Hardtanh", inputs=[(2, 6)], min_val=-0.3, max_val=0.4)
case("Threshold", [0.1, 3.0], [(2, 6)])
case("PReLU", inputs=[(2, 3, 2)], num_parameters=3)
for name in ("Softmax", "LogSoftmax", "Softmin"):
    case(name, [1], [(2, 4)])
case("Softmax2d", inputs=[(2, 3, 2, 2)])
case("Flatten", inputs=[(2, 2, 3)])
case("Unflatten", [1, [2, 3]], [(2, 6)])
case("PixelShuffle", [2], [(1, 4, 2, 2)])
case("PixelUnshuffle", [2], [(1, 1, 4, 4)])
case("ChannelShuffle", [2], [(1, 4, 2, 2)])
case("Unfold", [2], [(1, 2, 3, 4)], stride=1, padding=1)
case("Fold", [[3, 4], 2], [(1, 8, 6)])
for n, shape in ((1, (1, 2, 7)), (2, (1, 2, 5, 6)), (3, (1, 1, 4, 5, 4))):
    case(f"MaxPool{n}d", [3], [shape], stride=2, padding=1, ceil_mode=True)
    case(f"AvgPool{n}d", [2], [shape], stride=2, padding=1, count_include_pad=False)
    case(f"LPPool{n}d", [2, 2], [shape], ceil_mode=True)
    case(f"AdaptiveAvgPool{n}d", [[3, 2, 2][:n]], [shape])
    case(f"AdaptiveMaxPool{n}d", [2], [shape])
    shape = (1, 1, 2, 3, 3)[: n + 2]
    for name in ("Zero", "Reflection", "Replication", "Circular"):
        case(f"{name}Pad{n}d", [[1, 0, 1, 1, 1, 1][: 2 * n]], [shape])
    case(f"ConstantPad{n}d", [1, 0.5], [shape])
for mode, shape in (("nearest", (1, 1, 3)), ("nearest-exact", (1, 1, 3, 3)), ("linear", (1, 1, 4)), ("bilinear", (1, 1, 3, 3)), ("bicubic", (1, 1, 3, 3)), ("trilinear", (1, 1, 2, 2, 2)), ("area", (1, 1, 4, 4))):
    case("Upsample", inputs=[shape], scale_factor=1.5, mode=mode)
case("Upsample", inputs=[(1, 1, 3, 3)], size=[4, 5], mode="bilinear", align_corners=True)
case("UpsamplingNearest2d", inputs=[(1, 1, 2, 2)], scale_factor=2.0)
case("UpsamplingBilinear2d", inputs=[(1, 1, 2, 2)], scale_factor=2.0)
for n, shape in ((1, (1, 2, 6)), (2, (1, 2, 4, 5)), (3, (1, 2, 3, 3, 3))):
    case(f"Conv{n}d", [2, 4, 2], [shape], stride=2, padding=1, groups=2)
    case(f"Conv{n}d", [2, 1, 3 if n < 3 else 2], [shape], padding="same", bias=False)
    case(f"ConvTranspose{n}d", [2, 2, 2], [shape], stride=2, padding=1, output_padding=1, groups=2)
case("Conv2d", [2, 2, [2, 3]], [(1, 2, 4, 5)], padding=[1, 2], padding_mode="circular", dilation=[1, 2])
case("Conv2d", [2, 2, 2], [(1, 2, 4, 5)], padding="same", padding_mode="reflect")
case("Conv1d", [2, 2, 2], [(1, 2, 6)], padding="valid", padding_mode="replicate")
case("GroupNorm", [2, 4], [(2, 4, 3)])
case("GroupNorm", [2, 4], [(2, 4, 3)], affine=False, eps=0.1)
case("RMSNorm", [[3]], [(2, 3)])
case("RMSNorm", [[2, 3]], [(2, 2, 3)], eps=0.1, elementwise_affine=False)
case("LocalResponseNorm", [3], [(2, 4, 3)], alpha=0.5)
case("LinearCrossEntropyLoss", [3, 4], [(2, 3), integers(1, 3)], bias=True, label_smoothing=0.1)
case("LinearCrossEntropyLoss", [3, 4], [(2, 3), {"dtype": "int64", "values": [[1, 3], [0, 2]]}], out_features=[2], weight=[0.5, 1.0, 2.0, 1.5], reduction="sum", ignore_index=3)
case("LinearCrossEntropyLoss", [3, 2], [(3,), {"dtype": "float32", "values": [0.3, 0.7]}], reduction="none")
case("F.upsample", inputs=[(1, 1, 3, 3)], scale_factor=2, mode="bicubic", align_corners=True)
case("F.upsample_nearest", inputs=[(1, 1, 2, 3)], size=[3, 5])
case("F.upsample_bilinear", inputs=[(1, 1, 2, 3)], scale_factor=2)
pair = [(3, 4), (3, 4)]
probabilities = {"dtype": "float32", "values": [0.2, 0.7, 0.9]}
for reduction in ("mean", "sum", "none"):
    for name in ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss"):
        case(name, inputs=pair, reduction=reduction)
    case("KLDivLoss", inputs=[(3,), probabilities], reduction=reduction)
    case("CrossEntropyLoss", inputs=[(3, 4), integers(1, 3, 0)], reduction=reduction)
case("CrossEntropyLoss", inputs=[(3, 4), integers(1, -100, 0)], label_smoothing=0.1, weight=[0.5, 1.0, 2.0, 1.5])
case("CrossEntropyLoss", inputs=[(2, 3, 2), {"dtype": "int64", "values": [[1, 2], [0, 7]]}], ignore_index=7)
case("NLLLoss", inputs=[(3, 4), integers(1, 3, 0)], weight=[0.5, 1.0, 2.0, 1.5])
case("BCELoss", inputs=[probabilities, integers(0, 1, 1, dtype="float32")])
case("BCEWithLogitsLoss", inputs=[(3,), integers(0, 1, 1, dtype="float32")], pos_weight=[2.0, 3.0, 0.5])
case("SmoothL1Loss", inputs=pair, beta=0.3)
case("HuberLoss", inputs=pair, delta=0.3)
case("KLDivLoss", inputs=pair, reduction="batchmean", log_target=True)
case("PoissonNLLLoss", inputs=[probabilities, probabilities], log_input=False, full=True)
case("GaussianNLLLoss", inputs=[(3,), (3,), probabilities], full=True)
signs = integers(1, -1, 1, dtype="float32")
case("HingeEmbeddingLoss", inputs=[(3,), signs], margin=0.8)
case("SoftMarginLoss", inputs=[(3,), signs])
case("MultiLabelMarginLoss", inputs=[(4,), integers(2, 0, -1, 1)])
case("MultiLabelSoftMarginLoss", inputs=[(1, 3), {"dtype": "float32", "values": [[0, 1, 1]]}])
case("MultiMarginLoss", inputs=[(3, 4), integers(1, 3, 0)], p=2, margin=0.5)
case("CosineEmbeddingLoss", inputs=[(3, 4), (3, 4), signs], margin=0.1)
case("MarginRankingLoss", inputs=[(3,), (3,), signs], margin=0.1)
case("TripletMarginLoss", inputs=[(3, 4), (3, 4), (3, 4)], swap=True)
case("CTCLoss", inputs=[(5, 2, 4), {"dtype": "int64", "values": [[1, 2], [3, 1]]}, integers(5, 4), integers(2, 1)], reduction="sum")
case("Embedding", [5, 3], [integers(1, 4, 1, 0)])
case("Embedding", [5, 3], [integers(1, 4, 1, 0)], padding_idx=-1)
for name in ("RNN", "GRU", "LSTM"):
    case(name, [3, 2], [(4, 2, 3)])
    case(name, [3, 2], [(2, 3, 3)], num_layers=2, bidirectional=True, batch_first=True, bias=False)
case("RNN", [3, 2], [(4, 2, 3)], nonlinearity="relu")
case("Conv2d", [2, 4, 3], [(2, 5, 5)], stride=[1, 2], groups=2)
case("ConvTranspose2d", [2, 2, 3], [(1, 2, 3, 3)], stride=2, padding=1)
for n in (1, 2, 3):
    shape = (2, 3, 2, 2, 2)[: n + 2]
    case(f"BatchNorm{n}d", [3], [shape], eps=0.01, momentum=0.3)
    case(f"BatchNorm{n}d", [3], [shape], training=False)
    case(f"InstanceNorm{n}d", [3], [shape], affine=True, track_running_stats=True)
    case(f"InstanceNorm{n}d", [3], [shape[1:]], eps=0.01)
case("BatchNorm1d", [3], [(4, 3)], momentum=None, affine=False)
case("BatchNorm2d", [3], [(2, 3, 2, 2)], track_running_stats=False, training=False)
case("InstanceNorm2d", [3], [(2, 3, 2, 2)], affine=True, track_running_stats=True, training=False)
case("LayerNorm", [3], [(2, 3)])
case("LayerNorm", [[2, 3]], [(2, 2, 3)], eps=0.1)
case("LayerNorm", [[2, 3]], [(2, 2, 3)], bias=False)
case("LayerNorm", [3], [(2, 3)], elementwise_affine=False)
case("Linear", [3, 2], [(4, 3)])
case("Linear", [3, 2], [(2, 2, 3)], bias=False)
for name in ("Dropout", "Dropout1d", "AlphaDropout", "FeatureAlphaDropout"):
    case(name, [0.4], [(3, 4, 2)])
    case(name, [0.4], [(3, 2, 2)], training=False)
case("Dropout", inputs=[(8,)])
case("Dropout1d", inputs=[(4, 2)])
case("Dropout2d", [0.3], [(2, 4, 2, 2)])
case("Dropout3d", [0.3], [(2, 3, 1, 2, 2)])
case("Dropout3d", [0.3], [(4, 1, 2, 2)])
case("RReLU", inputs=[(3, 4)], upper=0.6)
case("RReLU", inputs=[(3, 4)], training=False)
case("Embedding", [5, 3], [integers(1, 4, 1, 0)], max_norm=0.5, scale_grad_by_freq=True)
bags = {"dtype": "int64", "values": [[1, 4, 1], [2, 0, 3]]}
for kind in ("sum", "mean", "max"):
    case("EmbeddingBag", [5, 3], [bags], mode=kind)
    case("EmbeddingBag", [5, 3], [integers(1, 4, 1, 0), integers(0, 1)], mode=kind, padding_idx=4)
case("EmbeddingBag", [5, 3], [integers(1, 4, 1), integers(0, 1, 3)], mode="sum", include_last_offset=True)
case("EmbeddingBag", [5, 3], [bags, None, (2, 3)], mode="sum")
case("Bilinear", [3, 2, 4], [(2, 3), (2, 2)])
case("Bilinear", [3, 2, 4], [(2, 1, 3), (2, 1, 2)], bias=False)
case("CosineSimilarity", inputs=pair)
case("CosineSimilarity", inputs=pair, dim=0, eps=0.1)
case("PairwiseDistance", inputs=pair)
case("PairwiseDistance", inputs=pair, p=1.0, keepdim=True)
case("TripletMarginWithDistanceLoss", inputs=[(3, 4), (3, 4), (3, 4)], swap=True, margin=0.5, reduction="sum")
case("GaussianNLLLoss", inputs=[(3, 2), (3, 2), probabilities], reduction="sum")
case("MultiLabelSoftMarginLoss", inputs=[(1, 3), {"dtype": "float32", "values": [[0, 1, 1]]}], weight=[0.5, 1.0, 2.0])
case("BCELoss", inputs=[probabilities, integers(0, 1, 1, dtype="float32")], weight=[0.5, 1.0, 2.0], reduction="sum")
logits = [(5, 2, 4), {"dtype": "int64", "values": [[1, 2], [3, 1]]}, integers(5, 4), integers(2, 1)]
case("CTCLoss", inputs=logits)
case("CTCLoss", inputs=logits, blank=2, zero_infinity=True, reduction="none")
case("AdaptiveLogSoftmaxWithLoss", [4, 6, [2, 4]], [(3, 4), integers(0, 3, 5)], div_value=2.0)
case("AdaptiveLogSoftmaxWithLoss", [4, 6, [2, 4]], [(3, 4), integers(4, 4, 1)], div_value=1.5, head_bias=True)
for n, shape in ((2, (2, 2, 5, 6)), (3, (1, 2, 4, 4, 5))):
    case(f"FractionalMaxPool{n}d", [2], [shape], output_ratio=0.6)
    case(f"FractionalMaxPool{n}d", [2], [shape[1:]], output_size=[2, 2, 3][-n:])
case("MaxUnpool1d", [2], [(1, 1, 3), {"dtype": "int64", "values": [[[1, 2, 5]]]}])
case("MaxUnpool2d", [2], [(1, 1, 2, 2), {"dtype": "int64", "values": [[[[0, 3], [8, 11]]]]}])
case("MaxUnpool3d", [2], [(1, 1, 1, 1, 2), {"dtype": "int64", "values": [[[[[5, 10]]]]]}], stride=2)
for name, state in (("RNN", (1, 2, 2)), ("GRU", (1, 2, 2)), ("LSTM", [(1, 2, 2), (1, 2, 2)])):
    single = (1, 2) if isinstance(state, tuple) else [(1, 2), (1, 2)]
    case(name, [3, 2], [(4, 2, 3), state])
    case(name, [3, 2], [(4, 3), single])
    case(name, [3, 2], [(4, 2, 3)], num_layers=2, dropout=0.5)
    case(name, [3, 2], [(4, 3)], batch_first=True, bidirectional=True, training=False)
    cell = (2, 2) if isinstance(state, tuple) else [(2, 2), (2, 2)]
    case(f"{name}Cell", [3, 2], [(2, 3)])
    case(f"{name}Cell", [3, 2], [(2, 3), cell], bias=False)
    case(f"{name}Cell", [3, 2], [(3,)])
case("LSTM", [3, 4], [(2, 2, 3)], proj_size=2, bidirectional=True, num_layers=2)
case("RNNCell", [3, 2], [(2, 3)], nonlinearity="relu")

query, memory = (3, 2, 4), (2, 2, 4)
padding = {"dtype": "bool", "values": [[False, True], [False, False]]}
causal = {"dtype": "float32", "values": [[0, -9e9], [0, 0]]}
for weights in (True, False):
    call = dict(need_weights=weights)
    case("MultiheadAttention", [4, 2], [query, memory, memory], call=call)
    case("MultiheadAttention", [4, 2], [memory, "first", "first"], call=call)
    masks = dict(key_padding_mask=padding, attn_mask=causal)
    case("MultiheadAttention", [4, 2], [memory, "first", "first"], call={**call, **masks})
    case("MultiheadAttention", [4, 2], [memory, memory, memory], call=call, add_bias_kv=True, add_zero_attn=True)
case("MultiheadAttention", [4, 2], [query, (2, 2, 3), (2, 2, 5)], kdim=3, vdim=5, bias=False)
case("MultiheadAttention", [4, 2], [(2, 3, 4), (2, 2, 4), (2, 2, 4)], batch_first=True, call=dict(average_attn_weights=False))
case("MultiheadAttention", [4, 2], [(3, 4), (2, 4), (2, 4)], add_bias_kv=True, call=dict(key_padding_mask=dict(dtype="bool", values=[False, True])))
case("MultiheadAttention", [4, 2], [query, memory, memory], dropout=0.4)
case("MultiheadAttention", [4, 2], [memory, "first", "first"], call=dict(need_weights=False, is_causal=True, attn_mask=causal))
small = dict(dim_feedforward=5)
case("TransformerEncoderLayer", [4, 2], [query], **small)
case("TransformerEncoderLayer", [4, 2], [memory], **small, norm_first=True, activation="gelu", bias=False, dropout=0.0, call=dict(src_mask=causal, src_key_padding_mask=padding))
case("TransformerDecoderLayer", [4, 2], [query, memory], **small, call=dict(memory_key_padding_mask=padding))
case("TransformerDecoderLayer", [4, 2], [memory, "first"], **small, norm_first=True, batch_first=True, call=dict(tgt_mask=causal, tgt_is_causal=True))
encoder = {"layer": ["TransformerEncoderLayer", [4, 2], small]}
decoder = {"layer": ["TransformerDecoderLayer", [4, 2], small]}
norm = {"layer": ["LayerNorm", [4], {}]}
case("TransformerEncoder", [encoder, 2], [query], norm=norm, training=False)
case("TransformerEncoder", [encoder, 2], [memory], call=dict(mask=causal))
case("TransformerDecoder", [decoder, 2], [query, memory], training=False)
case("Transformer", [4, 2], [memory, query], **small, num_encoder_layers=1, num_decoder_layers=1, training=False)

image = (1, 2, 3, 4)
for kind in ("bilinear", "nearest", "bicubic"):
    case("F.grid_sample", inputs=[image, (1, 2, 2, 2)], mode=kind, padding_mode="border")
case("F.grid_sample", inputs=[image, (1, 2, 2, 2)], padding_mode="reflection", align_corners=True)
case("F.affine_grid", [[1, 1, 2, 3]], [(1, 2, 3)], align_corners=False)
case("F.normalize", inputs=[(3, 4)])
case("F.normalize", inputs=[(3, 4)], p=1.0, dim=0, eps=5.0)
case("F.gumbel_softmax", inputs=[(3, 4)], tau=0.7)
case("F.gumbel_softmax", inputs=[(3, 4)], hard=True)
case("F.interpolate", inputs=[(1, 1, 6, 7)], size=[3, 4], mode="bilinear", antialias=True)
case("F.interpolate", inputs=[(1, 1, 5)], scale_factor=0.5, mode="linear", recompute_scale_factor=True)
case("F.dropout", inputs=[(8,)], p=0.3)
case("F.alpha_dropout", inputs=[(8,)], p=0.3)
case("F.dropout3d", inputs=[(4, 1, 2, 2)], training=True)
case("F.instance_norm", inputs=[(2, 3, 4)], eps=0.1)
case("F.scaled_dot_product_attention", inputs=[(1, 2, 3, 4), (1, 2, 2, 4), (1, 2, 2, 4)])
case("F.pairwise_distance", inputs=pair)
case("F.logsigmoid", inputs=[(5,)])
case("F.embedding_bag", inputs=[bags, (5, 3)], mode="max")
case("F.embedding", inputs=[bags, (5, 3)], padding_idx=-1)

INITS = []


def init(name, shape, *args, **options):
    INITS.append(dict(name=name, shape=shape, args=list(args), options=options))


init("constant_", (2, 2), 0.5)
init("eye_", (2, 3))
init("dirac_", (4, 2, 3))
init("dirac_", (4, 2, 2, 3), groups=2)
init("dirac_", (2, 3, 1, 2, 1))
init("uniform_", (2, 3), -1.0, 2.0)
init("normal_", (2, 3), 1.0, 2.0)
init("xavier_uniform_", (3, 2), 2.0)
init("xavier_normal_", (3, 2, 2))
init("kaiming_uniform_", (3, 2), a=0.3)
init("kaiming_uniform_", (3, 2, 2), mode="fan_out", nonlinearity="relu")
init("kaiming_normal_", (3, 2), nonlinearity="tanh")
init("kaiming_normal_", (3, 2, 2), mode="fan_out", nonlinearity="selu")
init("orthogonal_", (3, 2), 1.5)
init("orthogonal_", (2, 2, 2))
init("sparse_", (5, 3), 0.4)
