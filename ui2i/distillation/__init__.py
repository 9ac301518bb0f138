"""Translators: a family distilled into one feed-forward pass, without an inversion.

Two models of a family make unlimited pairs, G_s(w) and G_t(w). A small network that is trained on them translates an
image at once. Its modules are imported one by one, because `folder` and `onnx_session` work without torch:

    network            the network
    pairs              pairs of images, generated once and kept
    losses             what a translation is compared with
    training           training, which resumes bit for bit
    evaluation         how well held-out pairs are translated
    card               what a translator is, and whether it is still that of two models
    translator_file    the network on disk
    onnx_export        the same as one ONNX file, compared with the network before it is kept
    onnx_session       translation with onnxruntime
    folder             a folder of images, translated
"""
