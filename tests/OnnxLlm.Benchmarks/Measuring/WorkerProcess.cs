using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace OnnxLlm.Benchmarks.Measuring;

/// <summary>One line of a worker's standard output: who it is, a step it made, or that it is done.</summary>
internal sealed record WorkerLine
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web)
    {
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    public string? About { get; init; }
    public string? LinearAlgebra { get; init; }
    public int? Step { get; init; }
    public double? Loss { get; init; }
    public double? Milliseconds { get; init; }

    /// <summary>Time to the first token of an answer; <see cref="Milliseconds"/> is then the time from there to its last.</summary>
    public double? FirstMilliseconds { get; init; }

    /// <summary>Sequences of a step.</summary>
    public int? Batch { get; init; }
    /// <summary>Client of an answer.</summary>
    public int? Client { get; init; }

    /// <summary>When the answer was asked for, from the beginning of the load.</summary>
    public double? BeganMilliseconds { get; init; }

    /// <summary>Milliseconds from each piece of an answer to the next.</summary>
    public IReadOnlyList<double>? Gaps { get; init; }

    /// <summary>The answer was to a prompt that needed no reading.</summary>
    public bool? Steady { get; init; }

    public IReadOnlyList<string>? Profiles { get; init; }
    public bool? Done { get; init; }

    public static WorkerLine Parse(string line)
    {
        try
        {
            return JsonSerializer.Deserialize<WorkerLine>(line, Format)!;
        }
        catch (JsonException)
        {
            throw new BenchmarkException($"A worker printed a line that is none of its protocol: {line}");
        }
    }

    public override string ToString() => JsonSerializer.Serialize(this, Format);
}

/// <summary>All lines of one worker, the most memory it had resident, and the share of the machine that other programs took meanwhile.</summary>
internal sealed record WorkerRun(IReadOnlyList<WorkerLine> Lines, long PeakBytes, double OthersShare)
{
    public IEnumerable<WorkerLine> Steps => Lines.Where(line => line.Step is not null);
}

/// <summary>
/// A program measured in a process of its own, so that its memory is its own. It prints <see cref="WorkerLine"/>s and, after
/// "done", waits for a line of its standard input or its end: its peak is read at that moment, exactly, by the parent.
/// </summary>
internal sealed record WorkerProcess(string Name, string Program, IReadOnlyList<string> Arguments, IReadOnlyDictionary<string, string> Environment)
{
    /// <summary>This program itself, started again with other arguments.</summary>
    public static WorkerProcess Self(string name, params IReadOnlyList<string> arguments)
    {
        string program = System.Environment.ProcessPath!;
        bool host = Path.GetFileNameWithoutExtension(program) == "dotnet";
        return new(name, program, host ? [typeof(WorkerProcess).Assembly.Location, .. arguments] : arguments, new Dictionary<string, string>());
    }

    /// <summary>One turn, and its end.</summary>
    public WorkerRun Run()
    {
        using WorkerTurns turns = Begin();
        return turns.Next();
    }

    /// <summary>Starts it for as many turns as are wanted.</summary>
    public WorkerTurns Begin() => new(Name, Start());

    private Process Start()
    {
        var start = new ProcessStartInfo(Program, Arguments) { RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach ((string name, string value) in Environment)
            start.Environment[name] = value;
        try
        {
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            throw new BenchmarkException($"{Name} cannot be started: {Program}: {error.Message}");
        }
    }
}
