using System.Globalization;
using OnnxLlm.Runtime;
using OnnxLlm.Runtime.OrtTraining;

namespace OnnxLlm.Tests.OrtTraining;

/// <summary>Stands in for the native session: notes each call with its arguments and answers with given numbers.</summary>
internal sealed class RecordingSession(List<string> calls, string folder) : ITrainingSession
{
    public float Norm { get; set; } = 0.5f;

    public void LazyResetGrad() => calls.Add("reset");

    public void TrainStep(IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs)
    {
        calls.Add($"train {Describe(inputs)} → {Shapes(outputs)}");
        (outputs[0].Span<float>()[0], outputs[1].Span<float>()[0]) = (1, Norm);
    }

    public void EvaluationStep(IReadOnlyList<TensorBuffer> inputs, IReadOnlyList<TensorBuffer> outputs)
    {
        calls.Add($"evaluate {Describe(inputs)} → {Shapes(outputs)}");
        outputs[0].Span<float>().Fill(2);
    }

    public void SetLearningRate(float learningRate) => calls.Add(string.Create(CultureInfo.InvariantCulture, $"rate {learningRate}"));

    public void OptimizerStep() => calls.Add("update");

    public void SaveCheckpoint(string path)
    {
        calls.Add($"save {Path.GetFileName(path)}");
        File.WriteAllText(path, "saved");
    }

    /// <summary>Every element is its position.</summary>
    public void CopyParameters(TensorBuffer target)
    {
        calls.Add("parameters");
        for (int i = 0; i < target.Count; i++) target.Span<float>()[i] = i;
    }

    public void ExportForInference(string path, params string[] outputs)
    {
        calls.Add($"export {Path.GetFileName(path)} {string.Join(",", outputs)}");
        File.WriteAllText(path, "exported");
    }

    public void Dispose() => calls.Add($"close {folder}");

    /// <summary>Type and shape of each tensor, with its first element.</summary>
    private static string Describe(IEnumerable<TensorBuffer> tensors) => string.Join(" ", tensors.Select(t => string.Create(
        CultureInfo.InvariantCulture, $"{t.Type}[{string.Join(",", t.Shape)}]:{(t.Type == OnnxLlm.Graphs.ElementType.Int64 ? t.Span<long>()[0] : t.Span<float>()[0])}")));

    private static string Shapes(IEnumerable<TensorBuffer> tensors) => string.Join(" ", tensors.Select(t => $"{t.Type}[{string.Join(",", t.Shape)}]"));
}
