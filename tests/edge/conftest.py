from tests.gpu_fixtures import bundle, cuda, drawn_once, library, plan, pretended, runtime, trt  # noqa: F401 (fixtures)
