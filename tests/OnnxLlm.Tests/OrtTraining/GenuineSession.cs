using System.Diagnostics;
using System.Text.Json.Nodes;
using OnnxLlm.Graphs;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.OrtTraining;
using OnnxLlm.Tests.Support;

namespace OnnxLlm.Tests.OrtTraining;

/// <summary>
/// A session of the genuine runtime in its WebAssembly build, in a process of its own. That build cannot set a learning rate (the folder has it
/// built in; what the engine sets is recorded), nor save a checkpoint.
/// </summary>
internal sealed class GenuineSession : ITrainingSession
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    private readonly Process _node;

    public GenuineSession(string folder)
    {
        _node = Process.Start(new ProcessStartInfo("node", [Repository.PathOf("tests", "ort-training", "serve.mjs")])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        Ask(new JsonObject { ["open"] = folder });
    }

    public List<float> LearningRates { get; } = [];

    public void LazyResetGrad() => Call("reset");

    public void TrainStep(IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs) => Call("train", inputs, outputs);

    public void EvaluationStep(IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs) => Call("evaluate", inputs, outputs);

    public void SetLearningRate(float learningRate) => LearningRates.Add(learningRate);

    public void OptimizerStep() => Call("update");

    public void SaveCheckpoint(string path) => File.WriteAllText(path, "not from this build");

    public void CopyParameters(TensorBuffer target) => Convert.FromBase64String(Call("parameters").GetValue<string>()).CopyTo(target.RawBytes());

    public void ExportForInference(string path, params string[] outputs) => File.WriteAllText(path, "not from this build");

    public void Dispose()
    {
        _node.StandardInput.Close();
        if (!_node.WaitForExit(Patience)) _node.Kill();
        _node.Dispose();
    }

    private JsonNode Call(string name) => Ask(new JsonObject { ["call"] = name });

    private void Call(string name, IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs)
    {
        var results = Ask(new JsonObject { ["call"] = name, ["inputs"] = new JsonArray([.. inputs.Select(Tensor)]) }).AsArray();
        Assert.Equal(outputs.Count, results.Count);
        foreach (var (values, output) in results.Zip(outputs))
            values!.AsArray().Select(v => v!.GetValue<float>()).ToArray().CopyTo(output.Span<float>());
    }

    private static JsonObject Tensor(TensorBuffer buffer) => new()
    {
        ["type"] = buffer.Type == ElementType.Int64 ? "int64" : "float32",
        ["dims"] = new JsonArray([.. buffer.Shape.Select(d => JsonValue.Create(d))]),
        ["data"] = new JsonArray(buffer.Type == ElementType.Int64
            ? [.. buffer.Span<long>().ToArray().Select(v => JsonValue.Create(v))]
            : [.. buffer.Span<float>().ToArray().Select(v => JsonValue.Create(v))]),
    };

    private JsonNode Ask(JsonObject question)
    {
        _node.StandardInput.WriteLine(question.ToJsonString());
        var answer = _node.StandardOutput.ReadLine() ?? throw new InvalidOperationException("node ended; the error output says why.");
        return JsonNode.Parse(answer)!.AsObject() is var reply && reply["error"] is { } error
            ? throw new ModelRuntimeException(error.GetValue<string>())
            : reply["ok"]!;
    }
}
