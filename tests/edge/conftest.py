from tests.gpu_fixtures import bundle, cuda, library, plan, pretended, runtime, trt  # noqa: F401 (fixtures)
