using Google.Protobuf.Collections;

namespace OnnxLlm.Graphs.Onnx;

/// <summary>Changes to a finished graph.</summary>
public static class GraphProtoEdits
{
    /// <summary>Whoever read a value reads another one.</summary>
    public static void Redirect(this GraphProto graph, string value, string other)
    {
        foreach (var node in graph.Node)
            for (int i = 0; i < node.Input.Count; i++)
                if (node.Input[i] == value) node.Input[i] = other;
    }

    /// <summary>Removes nodes, initializers and inputs that no output depends on any more.</summary>
    public static void RemoveUnread(this GraphProto graph)
    {
        var read = graph.Output.Select(o => o.Name).ToHashSet();
        for (int i = graph.Node.Count - 1; i >= 0; i--)
        {
            // The nodes are in order, so a node's readers have been seen.
            if (graph.Node[i].Output.Any(read.Contains)) read.UnionWith(graph.Node[i].Input);
            else graph.Node.RemoveAt(i);
        }
        graph.Initializer.Keep(t => read.Contains(t.Name));
        graph.Input.Keep(v => read.Contains(v.Name));
    }

    /// <summary>Removes all others.</summary>
    public static void Keep<T>(this RepeatedField<T> items, Func<T, bool> wanted)
    {
        T[] kept = [.. items.Where(wanted)];
        items.Clear();
        items.AddRange(kept);
    }
}
