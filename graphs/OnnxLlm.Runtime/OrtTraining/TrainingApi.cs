using Microsoft.ML.OnnxRuntime;

namespace OnnxLlm.Runtime.OrtTraining;

/// <summary>Whether this build's ONNX Runtime can train by itself: only the builds of ORT Training can, the last of which is 1.19.2.</summary>
public static class TrainingApi
{
    /// <summary>True where <c>TrainingSession</c> works.</summary>
    public static bool IsAvailable { get; } = Probe();

    /// <summary>Throws, with where to get it, where <see cref="IsAvailable"/> does not hold.</summary>
    /// <exception cref="ModelRuntimeException"/>
    public static void Require()
    {
        if (IsAvailable) return;
        throw new ModelRuntimeException(
            $"ONNX Runtime {OrtSession.RuntimeVersion}, as built here, has no training API. The NuGet package Microsoft.ML.OnnxRuntime.Training 1.19.2 has it: " +
            "build with -p:OnnxRuntimeSource=nuget-training (docs/howto/ort-training.md), or train with --engine onnx, which needs no special build.");
    }

#if ORT_TRAINING
    /// <summary>The binding says InvalidOperation before it touches a file where the library has no training API, and something else where it has.</summary>
    private static bool Probe()
    {
        try
        {
            CheckpointState.LoadCheckpoint("").Dispose();
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
        catch (OnnxRuntimeException)
        {
            return true;
        }
    }
#else
    /// <summary>The binding of this package was compiled without the training classes.</summary>
    private static bool Probe() => false;
#endif
}
