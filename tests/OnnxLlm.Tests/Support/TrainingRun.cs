using OnnxLlm.Graphs;
using OnnxLlm.Graphs.Models;
using OnnxLlm.Graphs.Onnx;
using OnnxLlm.Graphs.Training;
using OnnxLlm.Runtime;

namespace OnnxLlm.Tests.Support;

/// <summary>The three training graphs on the runtime, all state in place: what the trainer does, without its loop.</summary>
internal sealed class TrainingRun : IDisposable
{
    private readonly Dictionary<string, TensorBuffer> _buffers = [];
    private readonly List<IDisposable> _owned = [];
    private readonly BoundSession _step, _optimizer;
    private readonly OrtSession _evaluation;

    public TrainingRun(ModelConfig config, TrainingShape shape, OptimizerSettings? optimizer = null, bool kernels = true, StepSettings? step = null)
    {
        Graphs = TrainingGraphs.Create(config, shape, optimizer ?? new OptimizerSettings(), step);
        var settings = new SessionSettings { Kernels = kernels, Threads = 1, Spinning = false };
        _step = Bind(Graphs.Step, Graphs.StepInPlace, settings);
        _optimizer = Bind(Graphs.Optimizer, Graphs.OptimizerInPlace, settings);
        _evaluation = Own(new OrtSession(OnnxFile.ToBytes(Graphs.Evaluation), settings));
    }

    public TrainingGraphs Graphs { get; }

    /// <summary>Values of a parameter, gradient buffer, moment or scalar, by its name in the graphs.</summary>
    public Span<float> this[string name] => _buffers[name].Span<float>();

    public void Load(RecordedModel model)
    {
        foreach (var p in Graphs.Parameters) model.Weight(p.Name).CopyTo(this[p.Name]);
    }

    public void Load(TinyModel model)
    {
        foreach (var p in Graphs.Parameters) model.Weight(p.Name).CopyTo(this[p.Name]);
    }

    /// <summary>What an encoder's steps see from now on.</summary>
    public void See(long[] mask) => mask.CopyTo(_buffers["attention_mask"].Span<long>());

    /// <summary>What an encoder-decoder's decoder reads from now on.</summary>
    public void Write(long[] ids) => ids.CopyTo(_buffers["decoder_input_ids"].Span<long>());

    public void Initialize(Initializer initializer)
    {
        foreach (var p in Graphs.Parameters) initializer.Fill(p, this[p.Name]);
    }

    /// <summary>Adds the gradients of one micro-batch to the buffers, or replaces what they hold; returns the scaled loss.</summary>
    public float Step(long[] ids, long[] labels, float scale, bool reset = true)
    {
        ids.CopyTo(_buffers["input_ids"].Span<long>());
        labels.CopyTo(_buffers["labels"].Span<long>());
        this["loss_scale"][0] = scale;
        _buffers["lazy_reset_grad"].Span<bool>()[0] = reset;
        _step.Run();
        return this["loss"][0];
    }

    /// <summary>One update from the gradient buffers; returns the gradients' global norm before clipping.</summary>
    public float Optimize(float learningRate, long step)
    {
        this["learning_rate"][0] = learningRate;
        _buffers["step"].Span<long>()[0] = step;
        _optimizer.Run();
        return this["gradient_norm"][0];
    }

    public float[] TokenLosses(long[] ids, long[] labels)
    {
        ids.CopyTo(_buffers["input_ids"].Span<long>());
        labels.CopyTo(_buffers["labels"].Span<long>());
        var outputs = _evaluation.Run(_evaluation.Inputs.ToDictionary(i => i.Name, i => _buffers[i.Name]));
        using var losses = outputs["token_losses"];
        return losses.Span<float>().ToArray();
    }

    public void Dispose() => _owned.AsEnumerable().Reverse().ToList().ForEach(o => o.Dispose());

    private BoundSession Bind(Graph graph, IEnumerable<(string Input, string Output)> inPlace, SessionSettings settings)
    {
        var session = Own(new OrtSession(OnnxFile.ToBytes(graph), settings));
        var bound = Own(session.Bind());
        foreach (var input in session.Inputs) bound.Input(input.Name, Buffer(input.Name, input));
        var shared = inPlace.ToDictionary(p => p.Output, p => p.Input);
        foreach (var output in session.Outputs) bound.Output(output.Name, Buffer(shared.GetValueOrDefault(output.Name, output.Name), output));
        return bound;
    }

    private TensorBuffer Buffer(string name, TensorInfo info) =>
        _buffers.TryGetValue(name, out var known) ? known : _buffers[name] = Own(TensorBuffer.Zeros(info.Type, info.Shape.AsSpan()));

    private T Own<T>(T disposable)
        where T : IDisposable
    {
        _owned.Add(disposable);
        return disposable;
    }
}
