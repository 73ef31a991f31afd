using OnnxLlm.Runtime.Devices;

namespace OnnxLlm.Serving.Metrics;

/// <summary>What the GPU is doing, as its instruments tell it. What they do not tell has no line.</summary>
internal static class GpuMetrics
{
    public static string Text(GpuUse? use)
    {
        var text = new PrometheusText();
        Line("onnxllm_gpu_memory_used_bytes", "Memory of the GPU in use, by whomever.", use?.MemoryBytes);
        Line("onnxllm_gpu_utilization_ratio", "Share of the last moments in which the GPU computed.", use?.Utilization);
        Line("onnxllm_gpu_power_watts", "Power that the GPU draws.", use?.Watts);
        return text.ToString();

        void Line(string name, string help, double? value)
        {
            if (value is null) return;
            text.Head(name, help, "gauge");
            text.Line(name, "", value.Value);
        }
    }
}
