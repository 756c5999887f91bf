"""State that several processes share: in memory of one master's workers, in Redis where there are several replicas."""
