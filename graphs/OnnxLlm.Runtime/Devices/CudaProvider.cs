using System.Globalization;
using Microsoft.ML.OnnxRuntime;

namespace OnnxLlm.Runtime.Devices;

/// <summary>Puts a session on ONNX Runtime's CUDA provider.</summary>
internal static class CudaProvider
{
    /// <summary>
    /// A node that the provider cannot take is an error, never a copy to the CPU and back. Recomputed activations must not be merged with those of the
    /// forward pass, and what Add and Softmax fuse to needs cuDNN.
    /// </summary>
    public static void Append(SessionOptions options, SessionSettings settings)
    {
        settings.Device.Require();
        using var provider = new OrtCUDAProviderOptions();
        provider.UpdateOptions(Options(settings));
        options.AppendExecutionProvider_CUDA(provider);
        options.GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_EXTENDED;
        options.AddSessionConfigEntry("optimization.disable_specified_optimizers", "CommonSubexpressionElimination;BiasSoftmaxFusion");
        if (settings.Strict) options.AddSessionConfigEntry("session.disable_cpu_ep_fallback", "1");
    }

    /// <summary>The provider's name for memory of the device.</summary>
    public static OrtMemoryInfo Memory(Device device) => new("Cuda", OrtAllocatorType.DeviceAllocator, device.Ordinal, OrtMemType.Default);

    /// <summary>Growth as requested: doubling the arena would waste up to half of the device.</summary>
    private static Dictionary<string, string> Options(SessionSettings settings) => new(Limit(settings))
    {
        ["device_id"] = settings.Device.Ordinal.ToString(CultureInfo.InvariantCulture),
        ["arena_extend_strategy"] = "kSameAsRequested",
        ["use_tf32"] = settings.ReducedProducts ? "1" : "0",
        ["enable_cuda_graph"] = settings.Capture ? "1" : "0",
        ["user_compute_stream"] = CudaRuntime.Of(settings.Device).Stream.ToString(CultureInfo.InvariantCulture),
    };

    private static Dictionary<string, string> Limit(SessionSettings settings) =>
        settings.MemoryLimit > 0 ? new() { ["gpu_mem_limit"] = settings.MemoryLimit.ToString(CultureInfo.InvariantCulture) } : [];
}
