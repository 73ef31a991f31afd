using System.Globalization;

namespace OnnxLlm.Benchmarks.Soak;

/// <summary>What the server said of itself at one moment.</summary>
/// <param name="Minutes">Since the beginning.</param>
/// <param name="Resident">Bytes in RAM.</param>
/// <param name="Heap">Bytes of the managed heap after its last collection.</param>
/// <param name="Allocated">Managed bytes allocated since the server started.</param>
/// <param name="Running">Sequences in a slot.</param>
/// <param name="Waiting">Sequences in the queue.</param>
/// <param name="Tokens">Generated since the server started.</param>
/// <param name="PrefixBytes">Bytes of keys and values kept of sequences that have ended.</param>
internal sealed record SoakSample(double Minutes, double Resident, double Heap, double Allocated, double Running, double Waiting, double Tokens, double PrefixBytes)
{
    /// <summary>From a scrape of /metrics.</summary>
    public static SoakSample Of(string scrape, double minutes)
    {
        return new(
            minutes, Value("process_resident_memory_bytes"), Value("dotnet_gc_last_collection_heap_size_bytes"), Value("dotnet_gc_heap_total_allocated_bytes_total"),
            Value("onnxllm_num_requests_running"), Value("onnxllm_num_requests_waiting"), Value("onnxllm_generation_tokens_total"), Value("onnxllm_prefix_cache_bytes"));

        double Value(string name)
        {
            string? line = scrape.Split('\n').FirstOrDefault(line => line.StartsWith(name + "{", StringComparison.Ordinal));
            return line is null ? throw new BenchmarkException($"The server does not say {name}.") : double.Parse(line[(line.LastIndexOf(' ') + 1)..], CultureInfo.InvariantCulture);
        }
    }
}
