using System.Text.Json;
using System.Text.Json.Serialization;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tools.Measuring;

/// <summary>What <c>bench</c> measured; the JSON file has these names in snake case.</summary>
internal sealed record BenchResult
{
    private static readonly JsonSerializerOptions Format = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    public required string Target { get; init; }

    public required string Model { get; init; }

    public required DateTimeOffset Measured { get; init; }

    /// <summary>Null for a server elsewhere.</summary>
    public required string? Machine { get; init; }

    public required int PromptTokens { get; init; }

    public required int AnswerTokens { get; init; }

    public required int Answers { get; init; }

    public required int Clients { get; init; }

    /// <summary>From the first request to the last token.</summary>
    public required double Seconds { get; init; }

    /// <summary>Generated tokens of all clients.</summary>
    public required double TokensPerSecond { get; init; }

    /// <summary>With those of the prompts.</summary>
    public required double TotalTokensPerSecond { get; init; }

    public required Percentiles FirstTokenMs { get; init; }

    /// <summary>Per answer: the time from its first token to its last, divided by the tokens after the first. Null for answers of one token.</summary>
    public required Percentiles? InterTokenMs { get; init; }

    /// <summary>From each arrival to the next: of tokens, or of a server's events, each of which may hold several tokens. Null where there is at most one.</summary>
    public required Percentiles? ArrivalGapMs { get; init; }

    /// <summary>Counted operations over the time, in 10⁹ per second; null where the model is not known.</summary>
    public required double? Gflops { get; init; }

    /// <summary>What the machine can do at best.</summary>
    public required double? PeakGflops { get; init; }

    /// <summary>Model FLOPs utilisation: the share of the peak.</summary>
    public required double? Mfu { get; init; }

    [JsonIgnore]
    public string Json => JsonSerializer.Serialize(this, Format);

    public void Write(string path) => AtomicFile.Write(path, stream =>
    {
        using var writer = new StreamWriter(stream, leaveOpen: true);
        writer.WriteLine(Json);
    });
}
