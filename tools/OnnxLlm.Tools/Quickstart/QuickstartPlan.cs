using System.Collections.Immutable;
using System.Globalization;

namespace OnnxLlm.Tools.Quickstart;

/// <summary>One step of quickstart: a command that a user could type.</summary>
internal sealed record QuickstartStep(string Title, CommandLine Command)
{
    /// <summary>What is there already, where the command itself could not tell; null for a command that must run.</summary>
    public string? UpToDate { get; init; }
}

/// <summary>The commands of quickstart, in order, as of what is done already; all paths are relative to the folder that they are typed in.</summary>
/// <param name="Root">That folder: the root of the repository.</param>
/// <param name="Minutes">Budget of the training.</param>
/// <param name="Port">Where the server listens.</param>
/// <param name="Out">Folder for data, runs and models.</param>
internal sealed record QuickstartPlan(string Root, double Minutes, int Port, string Out)
{
    private const string Tools = "tools/OnnxLlm.Tools", Training = "training/OnnxLlm.Training", Serving = "serving/OnnxLlm.Serving";

    public const string ModelName = "quickstart-int8";

    public Uri Server => new($"http://127.0.0.1:{Port.ToString(CultureInfo.InvariantCulture)}");

    public static Question Question => new(ModelName, "The people of the United States");

    private string Corpus => At("data/sotu");

    private string Tokenizer => $"{Corpus}/tokenizer";

    private string Shards => $"{Corpus}/shards";

    private string Run => At("runs/quickstart");

    private string Model => At("models/quickstart");

    private string Quantized => At($"models/{ModelName}");

    public ImmutableArray<QuickstartStep> Steps =>
    [
        new("ONNX Runtime and the sample corpus, through npm", new("npm", ["ci"])) { UpToDate = Installed() ? "node_modules" : null },
        new("Sample corpus: 10.8 MB of State of the Union addresses", CommandLine.Project(Tools, "corpus", "prepare", "--source", "sotu", "--out", Corpus)),
        new("Tokenizer: byte-level BPE, 4096 tokens", CommandLine.Project(Tools, "tokenizer", "train", "--corpus", Corpus, "--vocab", "4096", "--out", Tokenizer)),
        new("Token shards: training and validation", CommandLine.Project(
            Tools, "corpus", "tokenize", "--corpus", Corpus, "--tokenizer", Tokenizer, "--out", Shards)),
        new("Training a small LLaMA on the CPU", CommandLine.Project(Training, TrainOrResume)),
        new("Model package", CommandLine.Project(Tools, "export", "--run", Run, "--out", Model)),
        new("INT8 quantization", CommandLine.Project(Tools, "quantize", "--model", Model, "--out", Quantized, "--data", Shards)),
    ];

    /// <summary>The server's log goes to a file, so that the answer can be read.</summary>
    public QuickstartStep Serve => new(
        "Server", CommandLine.Project(Serving, "--model", Quantized, "--urls", Server.ToString().TrimEnd('/')) with { Output = $"{Run}/server.log" });

    private bool Installed()
    {
        FileInfo wanted = new(Path.Combine(Root, "package-lock.json")), there = new(Path.Combine(Root, "node_modules", ".package-lock.json"));
        return there.Exists && there.LastWriteTimeUtc >= wanted.LastWriteTimeUtc;
    }

    /// <summary>A run that was begun is never begun again: resuming one that is finished changes nothing.</summary>
    private string[] TrainOrResume => File.Exists(Path.Combine(Root, Run, "run.json"))
        ? ["resume", Run]
        : ["train", "training/configs/quickstart.json", "--minutes", Minutes.ToString(CultureInfo.InvariantCulture), "--run", Run, .. DataElsewhere];

    private string[] DataElsewhere => Out == "." ? [] : ["--set", $"data={Shards}"];

    private string At(string path) => Out == "." ? path : $"{Out.TrimEnd('/')}/{path}";
}
