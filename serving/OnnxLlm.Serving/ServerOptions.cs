using System.Collections.Immutable;
using OnnxLlm.Serving.Api;
using OnnxLlm.Serving.Engine;

namespace OnnxLlm.Serving;

/// <summary>What the operator chose on the command line.</summary>
internal sealed record ServerOptions
{
    /// <summary>The folder of the model package.</summary>
    public required string Model { get; init; }

    /// <summary>All models: the folder, or folders that may be named, as in <c>small=models/x</c>.</summary>
    public ImmutableArray<string> Models { get => field.IsDefault ? [Model] : field; init; }

    /// <summary>Seconds between two looks at the folders for newer models; 0 for none.</summary>
    public int WatchSeconds { get; init; }

    public ImmutableArray<string> Urls { get; init; } = ["http://127.0.0.1:8080"];

    /// <summary>Sequences decoded together.</summary>
    public int Slots { get; init; } = 8;

    /// <summary>Bytes that keys and values of all slots may take; there are fewer slots where they would take more.</summary>
    public long KeyValueBytes { get; init; } = long.MaxValue;

    /// <summary>Positions per slot; null for as many as the model was made for.</summary>
    public int? MaxLength { get; init; }

    /// <summary>What computes: cpu, cuda or cuda:N.</summary>
    public string Device { get; init; } = "cpu";

    /// <summary>On a GPU: type of activations and cache, float16 or bfloat16; null for float16.</summary>
    public string? Dtype { get; init; }

    /// <summary>Threads of the forward pass; 0 for all cores.</summary>
    public int Threads { get; init; }

    public ImmutableArray<string> ApiKeys { get; init; } = [];

    /// <summary>Keys that also open what only administrators may do.</summary>
    public ImmutableArray<string> AdminKeys { get; init; } = [];

    /// <summary>A file with more keys, as hashes, with their rights and quotas.</summary>
    public string? KeyFile { get; init; }

    /// <summary>plain or chatml; null to go by the model's own template.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>The model's name in the API; null for the folder's.</summary>
    public string? Name { get; init; }

    public ImmutableArray<string> Aliases { get; init; } = [];

    public bool OpenMetrics { get; init; }

    /// <summary>Metrics also under the names that vLLM has for them.</summary>
    public bool VllmMetrics { get; init; }

    /// <summary>A file that says what may not be asked and answered; null where everything may.</summary>
    public string? ContentFilter { get; init; }

    /// <summary>Where spans are sent by OTLP over HTTP; null for nowhere.</summary>
    public Uri? TraceCollector { get; init; }

    /// <summary>The page for people, at /.</summary>
    public bool Playground { get; init; } = true;

    public int DrainSeconds { get; init; } = 30;

    /// <summary>From when a request is understood to the end of its answer; infinite for no limit.</summary>
    public TimeSpan RequestTimeout { get; init; } = Timeout.InfiniteTimeSpan;

    public long CacheBytes { get; init; } = 64 << 20;

    /// <summary>The Redis that replicas share answers in; null where they share none.</summary>
    public Uri? SharedCache { get; init; }

    public EngineSettings Engine { get; init; } = new();

    public RequestLimits Limits { get; init; } = new();
}
